import { type Clock, crc32c, isMoraineError, MoraineError, type Random, randomHex, sleep, utf8Decode, utf8Encode } from '@moraine/base'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import { BASE_PREFIX, DATABASE_FOLDERS, IDENTITY_NAME, MANIFEST_PREFIX, parseManifestName } from '../layout/object-names.ts'

/**
 * The identity object: who a prefix belongs to, readable with any tool. Created if absent, never rewritten.
 *
 *     {"moraine":1,"databaseId":"<32 hex digits>","createdAtMs":1764000000000}
 *     crc32c:<8 hex digits of the first line>
 *
 * A clone's identity also says in `clone` what it is a clone of. It stands there before anything is pinned, so that a
 * clone that was cut off in the middle can be told from an empty prefix, and finished.
 */
export interface Identity {
  readonly databaseId: string
  readonly createdAtMs: number
  /** For a clone: the request, as JSON text. */
  readonly clone?: string | undefined
}

const IDENTITY_FORMAT = 1

export function encodeIdentity(identity: Identity): Uint8Array {
  const line = JSON.stringify({ moraine: IDENTITY_FORMAT, ...identity })
  return utf8Encode(`${line}\ncrc32c:${checksumOf(line)}\n`)
}

export function decodeIdentity(bytes: Uint8Array): Identity {
  const [line = '', checksum = ''] = utf8Decode(bytes).split('\n')
  if (checksum !== `crc32c:${checksumOf(line)}`) {
    throw new MoraineError('CORRUPTION', `the object '${IDENTITY_NAME}' is damaged, or is not Moraine's`)
  }
  const parsed = JSON.parse(line) as Identity & { moraine: number }
  if (parsed.moraine > IDENTITY_FORMAT) {
    throw new MoraineError('INVALID', `the database has format ${parsed.moraine}; this program knows ${IDENTITY_FORMAT}: upgrade it`)
  }
  return { databaseId: parsed.databaseId, createdAtMs: parsed.createdAtMs, clone: parsed.clone }
}

/** The identity of a prefix; undefined when it has none. */
export async function readIdentity(store: ObjectStore, signal?: AbortSignal): Promise<Identity | undefined> {
  const body = await store.get(IDENTITY_NAME, { signal })
  return body === undefined ? undefined : decodeIdentity(body.bytes)
}

/**
 * Creates the identity of a prefix unless it has one; gives whichever is there afterwards. With `probe` the store is
 * refused when it ignores create-if-absent: needed wherever no database of this store has been seen to work.
 */
export async function claimIdentity(
  store: ObjectStore,
  identity: Identity,
  options: { clock: Clock; random: Random; probe: boolean; signal?: AbortSignal | undefined },
): Promise<Identity> {
  const bytes = encodeIdentity(identity)
  if ((await createExactly(store, IDENTITY_NAME, bytes, options)) === 'created') {
    if (options.probe) await probeConditionalCreate(store, bytes, options)
    return identity
  }
  const theirs = await readIdentity(store, options.signal)
  if (theirs !== undefined) return theirs
  throw new MoraineError('UNAVAILABLE', `the object '${IDENTITY_NAME}' was there and is gone: is the prefix being deleted?`)
}

/**
 * Gives an empty prefix its identity, or finds the one that a crashed or concurrent creation left there. Undefined when
 * somebody else has finished the creation meanwhile: there is a manifest to read now. INVALID when the prefix holds
 * something that is not a database, or the store does not honour create-if-absent.
 */
export async function establishIdentity(
  store: ObjectStore,
  options: { clock: Clock; random: Random },
): Promise<Identity | undefined> {
  const found = await surveyPrefix(store)
  if (found === 'database') return undefined
  const existing = found === 'identity' ? await readIdentity(store) : undefined
  const identity =
    existing ??
    (await claimIdentity(
      store,
      { databaseId: randomHex(options.random, 16), createdAtMs: options.clock.nowMs() },
      { ...options, probe: true },
    ))
  if (identity.clone === undefined) return identity
  // Whoever makes the clone may have finished it since.
  if ((await surveyPrefix(store)) === 'database') return undefined
  throw new MoraineError(
    'INVALID',
    'a clone was begun here and not finished: run the same clone again to finish it, or destroy the location',
    { detail: { databaseId: identity.databaseId, clone: identity.clone } },
  )
}

/**
 * What stands in a prefix where no manifest was found a moment ago: nothing, an identity without a manifest (a creation
 * that was cut off, or is under way), or a database. Throws when nothing may be created there. One LIST, or two.
 */
export async function surveyPrefix(store: ObjectStore, signal?: AbortSignal): Promise<'nothing' | 'identity' | 'database'> {
  const page = await store.list('', { maxKeys: 100, signal })
  let identity = false
  let stranger: string | undefined
  for (const { key } of page.objects) {
    if (key === IDENTITY_NAME) {
      identity = true
    } else if (DATABASE_FOLDERS.some((folder) => key.startsWith(folder))) {
      stranger ??= key
    } else {
      throw new MoraineError(
        'INVALID',
        `the location holds something else already ('${key}'); a new database needs an empty prefix of its own`,
        { detail: { object: key } },
      )
    }
  }
  if (stranger === undefined) return identity ? 'identity' : 'nothing'
  const manifests = await store.list(MANIFEST_PREFIX, { maxKeys: 1, signal })
  if (manifests.objects.some((object) => parseManifestName(object.key) !== undefined)) return 'database'
  // The file list of a clone's first manifest may have been written before it was cut off.
  if (identity && stranger.startsWith(BASE_PREFIX)) return 'identity'
  throw new MoraineError(
    'CORRUPTION',
    `there is '${stranger}' here but no manifest: this was a database whose manifests are gone. Restore them, or choose an empty prefix`,
    { detail: { object: stranger } },
  )
}

/**
 * The whole protocol rests on create-if-absent, so a store that ignores the condition is refused at once. Nobody else
 * repeats a create, so a probe that gets no answer is repeated here; the bytes are the same in any case.
 */
async function probeConditionalCreate(
  store: ObjectStore,
  sameBytes: Uint8Array,
  { clock, random, signal }: { clock: Clock; random: Random; signal?: AbortSignal | undefined },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if ((await store.put(IDENTITY_NAME, sameBytes, { ifAbsent: true, signal })) === 'exists') return
      break
    } catch (error) {
      const passing = isMoraineError(error, 'UNAVAILABLE') && error.detail['retryable'] === true
      if (!passing || attempt === PROBE_ATTEMPTS) throw error
    }
    await sleep(clock, PROBE_DELAY_MS * 2 ** attempt * (0.5 + random.next() / 2), signal)
  }
  throw new MoraineError(
    'INVALID',
    `the store ${store.url} ignores 'If-None-Match: *': two writers could overwrite each other there, so Moraine refuses to use it`,
  )
}

const PROBE_ATTEMPTS = 6
const PROBE_DELAY_MS = 50

function checksumOf(line: string): string {
  return crc32c(utf8Encode(line)).toString(16).padStart(8, '0')
}
