import { type Clock, crc32c, isMoraineError, MoraineError, type Random, randomHex, sleep, utf8Decode, utf8Encode } from '@moraine/base'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import { DATABASE_FOLDERS, IDENTITY_NAME, MANIFEST_PREFIX, parseManifestName } from '../layout/object-names.ts'

/**
 * The identity object: who a prefix belongs to, readable with any tool. Created if absent, never rewritten.
 *
 *     {"moraine":1,"databaseId":"<32 hex digits>","createdAtMs":1764000000000}
 *     crc32c:<8 hex digits of the first line>
 */
export interface Identity {
  readonly databaseId: string
  readonly createdAtMs: number
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
  const parsed = JSON.parse(line) as { moraine: number; databaseId: string; createdAtMs: number }
  if (parsed.moraine > IDENTITY_FORMAT) {
    throw new MoraineError('INVALID', `the database has format ${parsed.moraine}; this program knows ${IDENTITY_FORMAT}: upgrade it`)
  }
  return { databaseId: parsed.databaseId, createdAtMs: parsed.createdAtMs }
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
  if ((await lookAround(store)) === 'database') return undefined
  const existing = await store.get(IDENTITY_NAME)
  if (existing !== undefined) return decodeIdentity(existing.bytes)
  const identity: Identity = { databaseId: randomHex(options.random, 16), createdAtMs: options.clock.nowMs() }
  const bytes = encodeIdentity(identity)
  if ((await createExactly(store, IDENTITY_NAME, bytes, options)) === 'created') {
    await probeConditionalCreate(store, bytes, options)
    return identity
  }
  const theirs = await store.get(IDENTITY_NAME)
  if (theirs === undefined) throw new MoraineError('UNAVAILABLE', `the object '${IDENTITY_NAME}' was there and is gone: is the prefix being deleted?`)
  return decodeIdentity(theirs.bytes)
}

/** What stands in a prefix where no manifest was found a moment ago; throws when nothing may be created there. */
async function lookAround(store: ObjectStore): Promise<'nothing' | 'database'> {
  const page = await store.list('', { maxKeys: 100 })
  for (const { key } of page.objects) {
    if (key === IDENTITY_NAME) continue
    if (DATABASE_FOLDERS.some((folder) => key.startsWith(folder))) {
      const manifests = await store.list(MANIFEST_PREFIX, { maxKeys: 1 })
      if (manifests.objects.some((object) => parseManifestName(object.key) !== undefined)) return 'database'
      throw new MoraineError(
        'CORRUPTION',
        `there is '${key}' here but no manifest: this was a database whose manifests are gone. Restore them, or choose an empty prefix`,
        { detail: { object: key } },
      )
    }
    throw new MoraineError(
      'INVALID',
      `the location holds something else already ('${key}'); a new database needs an empty prefix of its own`,
      { detail: { object: key } },
    )
  }
  return 'nothing'
}

/**
 * The whole protocol rests on create-if-absent, so a store that ignores the condition is refused at once. Nobody else
 * repeats a create, so a probe that gets no answer is repeated here; the bytes are the same in any case.
 */
async function probeConditionalCreate(
  store: ObjectStore,
  sameBytes: Uint8Array,
  { clock, random }: { clock: Clock; random: Random },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      if ((await store.put(IDENTITY_NAME, sameBytes, { ifAbsent: true })) === 'exists') return
      break
    } catch (error) {
      const passing = isMoraineError(error, 'UNAVAILABLE') && error.detail['retryable'] === true
      if (!passing || attempt === PROBE_ATTEMPTS) throw error
    }
    await sleep(clock, PROBE_DELAY_MS * 2 ** attempt * (0.5 + random.next() / 2))
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
