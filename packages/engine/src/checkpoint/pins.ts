import { crc32c, MoraineError, type Random, utf8Decode, utf8Encode } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { ManifestId } from '../layout/numbers.ts'
import { PIN_PREFIX } from '../layout/object-names.ts'
import { newPinUnique, parsePinName, type PinName, pinName } from './pin-name.ts'

/**
 * Pins as objects. What a collector needs stands in the name; the body is for people and for named checkpoints:
 *
 *     {"moraine":1,"holder":"process 4711 on host","createdAtMs":1764000000000,"name":"nightly","metadata":"{}"}
 *     crc32c:<8 hex digits of the first line>
 *
 * A pin is written with a plain PUT: its name is random, so nobody else writes it, and writing it again renews it (the
 * store's LastModified moves on). Order for whoever pins, and the reason for each step:
 *
 *   1. Create the pin.
 *   2. Find the newest manifest AFTER the pin exists. A collector that did not see the pin had read its manifest before,
 *      so that manifest is this one or an older one, and it deletes nothing that this one needs.
 *   3. A pin of scope `from` is narrowed to the manifest in use: first the exact pin, then the open one is deleted, so
 *      that there is no moment without a pin.
 */
export interface Pin extends PinName {
  readonly name: string
  readonly note: PinNote
}

export interface PinNote {
  /** Who holds it, in words. */
  readonly holder: string
  /** By the clock of who created it; for display. */
  readonly createdAtMs: number
  /** Name and metadata (JSON text) of a checkpoint taken from outside. */
  readonly name?: string | undefined
  readonly metadata?: string | undefined
}

/** A pin as a listing shows it. */
export interface ListedPin extends PinName {
  readonly name: string
  /** The store's own time of the last write. */
  readonly lastModifiedMs: number
}

export interface PinRequest {
  readonly manifestId: ManifestId
  readonly scope: PinName['scope']
  readonly holder: PinName['holder']
  readonly note: PinNote
  /** 24 hex digits for the name; default random. Whoever chooses them sees to it that no two pins have the same. */
  readonly unique?: string | undefined
}

/**
 * LastModified and the store's Date have a resolution of a second, and the servers of one store agree on the time only
 * roughly: a lease is taken for lapsed this much later than its holder does.
 */
export const LEASE_GRACE_MS = 5_000

/** Creates a pin; one PUT. */
export async function createPin(
  store: ObjectStore,
  request: PinRequest,
  random: Random,
  signal?: AbortSignal,
): Promise<Pin> {
  const { manifestId, scope, holder, note } = request
  const pinned: PinName = { manifestId, unique: request.unique ?? newPinUnique(random), scope, holder }
  const pin: Pin = { ...pinned, name: pinName(pinned), note }
  await store.put(pin.name, encodePinNote(note), { signal })
  return pin
}

/** Replaces a pin by an exact one of `manifestId`: the new pin is there before the old one goes. */
export async function narrowPin(
  store: ObjectStore,
  pin: Pin,
  manifestId: ManifestId,
  random: Random,
  signal?: AbortSignal,
): Promise<Pin> {
  const { holder, note } = pin
  const exact = await createPin(store, { manifestId, scope: 'only', holder, note }, random, signal)
  await releasePin(store, pin, signal)
  return exact
}

/** Writes a lease again, so that it lasts from now on; one PUT. */
export async function renewPin(store: ObjectStore, pin: Pin, signal?: AbortSignal): Promise<void> {
  await store.put(pin.name, encodePinNote(pin.note), { signal })
}

/** Deletes a pin; one that is gone already is fine. */
export async function releasePin(store: ObjectStore, pin: { readonly name: string }, signal?: AbortSignal): Promise<void> {
  await store.delete(pin.name, { signal })
}

/**
 * All pins, and the store's clock for judging their leases. Read the newest manifest before you call it: see the order
 * above. INVALID when something under `pin/` has a name that this program does not know: what it protects is then
 * unknown, so nothing may be deleted.
 */
export async function listPins(
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<{ pins: readonly ListedPin[]; storeTimeMs: number }> {
  const pins: ListedPin[] = []
  // The clock of the first page: a lease that is renewed while later pages are listed must not look lapsed.
  let storeTimeMs: number | undefined
  let token: string | undefined
  do {
    const page = await store.list(PIN_PREFIX, { token, signal })
    storeTimeMs ??= page.storeTimeMs
    for (const { key, lastModifiedMs } of page.objects) {
      const parsed = parsePinName(key)
      if (parsed === undefined) {
        throw new MoraineError(
          'INVALID',
          `'${key}' is not a pin that this program knows, so what it protects is unknown: use a newer version, or delete it if it is not Moraine's`,
          { detail: { object: key } },
        )
      }
      pins.push({ ...parsed, name: key, lastModifiedMs })
    }
    token = page.nextToken
  } while (token !== undefined)
  return { pins, storeTimeMs }
}

/** True when a lease was not renewed in time, by the store's own clock. Other pins never lapse. */
export function isLapsed(pin: ListedPin, storeTimeMs: number): boolean {
  return pin.holder.kind === 'lease' && storeTimeMs - pin.lastModifiedMs > pin.holder.leaseMs + LEASE_GRACE_MS
}

/** True when the pin keeps manifest `id`, and the files it names, from being collected. */
export function protects(pin: PinName, id: ManifestId): boolean {
  return pin.scope === 'only' ? pin.manifestId === id : pin.manifestId <= id
}

/** What a pin says about itself; undefined when it is gone. */
export async function readPinNote(store: ObjectStore, name: string, signal?: AbortSignal): Promise<PinNote | undefined> {
  const body = await store.get(name, { signal })
  return body === undefined ? undefined : decodePinNote(body.bytes, name)
}

const NOTE_FORMAT = 1

export function encodePinNote({ holder, createdAtMs, name, metadata }: PinNote): Uint8Array {
  const line = JSON.stringify({ moraine: NOTE_FORMAT, holder, createdAtMs, name, metadata })
  return utf8Encode(`${line}\ncrc32c:${checksumOf(line)}\n`)
}

export function decodePinNote(bytes: Uint8Array, pin: string): PinNote {
  const [line = '', checksum] = utf8Decode(bytes).split('\n')
  if (checksum !== `crc32c:${checksumOf(line)}`) {
    throw new MoraineError('CORRUPTION', `the checksum of ${pin} does not match its bytes`, { detail: { object: pin } })
  }
  const { holder, createdAtMs, name, metadata } = JSON.parse(line) as PinNote
  return { holder, createdAtMs, name, metadata }
}

function checksumOf(line: string): string {
  return crc32c(utf8Encode(line)).toString(16).padStart(8, '0')
}
