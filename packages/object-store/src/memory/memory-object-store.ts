import { type Clock, concatBytes, MoraineError, systemClock, throwIfAborted } from '@moraine/base'
import { checkMaxKeys, checkRange, resolveRange } from '../call-options.ts'
import { checkKey, checkPrefix, compareKeys } from '../object-key.ts'
import { sourcePieces } from '../object-source.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectBody,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  ObjectStoreTraits,
  PutOptions,
  PutOutcome,
} from '../object-store.ts'

export interface MemoryObjectStoreOptions {
  /** For `url` only: stores share their objects when they come from {@link MemoryObjectStore.named}. */
  readonly name?: string | undefined
  readonly clock?: Clock | undefined
}

interface StoredObject {
  readonly bytes: Uint8Array
  readonly lastModifiedMs: number
}

/** The objects themselves, apart from the handles on them: closing one handle must not empty the others. */
interface Contents {
  readonly objects: Map<string, StoredObject>
  /** Keys of `objects` in list order. */
  readonly keys: string[]
}

const namedContents = new Map<string, Contents>()

/** An object store in the memory of this process. Bodies are copied in and out, as a real store would. */
export class MemoryObjectStore implements ObjectStore {
  readonly url: string
  readonly traits: ObjectStoreTraits = { orderedList: true }
  readonly #clock: Clock
  #contents: Contents = { objects: new Map(), keys: [] }
  #closed = false

  constructor(options: MemoryObjectStoreOptions = {}) {
    this.url = `memory://${options.name ?? ''}`
    this.#clock = options.clock ?? systemClock
  }

  /**
   * A new handle on the store of this name, which lives as long as the process: every handle of one name sees the same
   * objects, also after another was closed.
   */
  static named(name: string, options: { readonly clock?: Clock | undefined } = {}): MemoryObjectStore {
    const store = new MemoryObjectStore({ name, clock: options.clock })
    const contents = namedContents.get(name)
    if (contents === undefined) namedContents.set(name, store.#contents)
    else store.#contents = contents
    return store
  }

  /** Forgets the store of this name, so that its memory can be freed once its handles are gone. */
  static forget(name: string): void {
    namedContents.delete(name)
  }

  async get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    checkKey(key)
    checkRange(options?.range)
    this.#admit(options)
    const object = this.#contents.objects.get(key)
    if (object === undefined) return undefined
    const { start, end } = resolveRange(options?.range, object.bytes.length)
    return { bytes: object.bytes.slice(start, end), objectSizeBytes: object.bytes.length }
  }

  async put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    checkKey(key)
    const pieces = sourcePieces(body)
    this.#admit(options)
    const { objects, keys } = this.#contents
    const isNew = !objects.has(key)
    if (!isNew && options?.ifAbsent === true) return 'exists'
    if (isNew) keys.splice(firstAtLeast(keys, key), 0, key)
    objects.set(key, { bytes: concatBytes(pieces), lastModifiedMs: this.#clock.nowMs() })
    return 'created'
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    checkKey(key)
    this.#admit(options)
    return this.#info(key)
  }

  async list(prefix: string, options?: ListOptions): Promise<ListPage> {
    checkPrefix(prefix)
    const maxKeys = checkMaxKeys(options)
    this.#admit(options)
    const { keys } = this.#contents
    const after = options?.token ?? options?.startAfter
    let at = firstAtLeast(keys, prefix)
    if (after !== undefined) {
      const past = firstAtLeast(keys, after)
      at = Math.max(at, keys[past] === after ? past + 1 : past)
    }
    const page: ObjectInfo[] = []
    for (; page.length < maxKeys && keys[at]?.startsWith(prefix) === true; at++) {
      page.push(this.#info(keys[at] as string) as ObjectInfo)
    }
    const more = keys[at]?.startsWith(prefix) === true
    return {
      objects: page,
      ...(more && { nextToken: keys[at - 1] as string }),
      storeTimeMs: this.#clock.nowMs(),
    }
  }

  async delete(key: string, options?: CallOptions): Promise<void> {
    checkKey(key)
    this.#admit(options)
    this.#remove(key)
  }

  async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    for (const key of keys) checkKey(key)
    this.#admit(options)
    for (const key of keys) this.#remove(key)
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #admit(options: CallOptions | undefined): void {
    throwIfAborted(options?.signal)
    if (this.#closed) throw new MoraineError('CLOSED', `the object store ${this.url} is closed`)
  }

  #info(key: string): ObjectInfo | undefined {
    const object = this.#contents.objects.get(key)
    return object && { key, sizeBytes: object.bytes.length, lastModifiedMs: object.lastModifiedMs }
  }

  #remove(key: string): void {
    const { objects, keys } = this.#contents
    if (objects.delete(key)) keys.splice(firstAtLeast(keys, key), 1)
  }
}

/** Index of the first key that is not below `key` in the sorted `keys`. */
function firstAtLeast(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(keys[middle] as string, key) < 0) low = middle + 1
    else high = middle
  }
  return low
}
