import assert from 'node:assert/strict'
import { isMoraineError, type MoraineErrorCode, SeededRandom } from '@moraine/base'
import type { ListOptions, ObjectInfo, ObjectStore } from '@moraine/object-store'

/** One behaviour that every object store has. */
export interface ConformanceCase {
  readonly name: string
  /** Rejects when the store behaves otherwise. All its keys start with `folder`, which ends in a slash. */
  readonly run: (store: ObjectStore, folder: string) => Promise<void>
}

/** Bytes that tell shifted, repeated or swapped pieces apart, the same for the same seed. */
export function patternBytes(sizeBytes: number, seed = 1): Uint8Array {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4))
  const random = new SeededRandom(seed)
  for (let i = 0; i < words.length; i++) words[i] = random.uint32()
  return new Uint8Array(words.buffer, 0, sizeBytes)
}

export async function rejectsWith(call: Promise<unknown>, code: MoraineErrorCode): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(isMoraineError(error), `rejected with ${String(error)}, which is no MoraineError`)
    assert.equal(error.code, code, `${error.code}: ${error.message}`)
    return true
  })
}

/** Every object of a listing, following its pages by token. */
export async function listAll(store: ObjectStore, prefix: string, options: ListOptions = {}): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  let token: string | undefined
  do {
    const page = await store.list(prefix, { ...options, token })
    if (options.maxKeys !== undefined) assert.ok(page.objects.length <= options.maxKeys, 'a page is longer than asked for')
    found.push(...page.objects)
    token = page.nextToken
  } while (token !== undefined)
  return found
}

export async function listKeys(store: ObjectStore, prefix: string, options: ListOptions = {}): Promise<string[]> {
  const keys = (await listAll(store, prefix, options)).map((object) => object.key)
  return store.traits.orderedList ? keys : keys.toSorted()
}

/** Runs `task` for each item, at most `width` at a time. */
export async function forEachParallel<T>(items: readonly T[], width: number, task: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await task(item)
    }),
  )
}
