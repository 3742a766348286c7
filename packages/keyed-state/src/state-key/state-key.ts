import { ByteReader, ByteWriter, murmur3, utf8Encode } from '@moraine/base'
import { copyEscaped, escapedSize, readEscaped } from '../codec/escaped-bytes.ts'

/**
 * Every key of the database:
 *
 *   key group u16 | state id u32 | key, escaped | namespace, escaped | rest        numbers big-endian
 *
 *   value, reducing, aggregating    rest: nothing
 *   map                             rest: the map key's bytes, as its codec gives them
 *   list                            rest: number of the element, u64
 *   timers (state ids 0 and 1)      key group | state id | time, 8 bytes | key, escaped | namespace, escaped
 *   everything else                 0xff 0xff | name: belongs to no key group
 *
 * The entries of states that separate large values have the same keys in a keyspace of their own: see state/large-values.ts.
 *
 * escaped: see codec/escaped-bytes.ts; order-preserving and self-delimiting. So a range of key groups is one range of
 * keys, and so is all of one state in a group, all namespaces of (state, key), and all entries of one map, which are in the
 * order of their encoded map keys.
 *
 * The state id is a hash of the state's name, not a number that is given out: two parallel backends that meet their states
 * in different order still agree, and their databases can be united.
 */
const GROUP_BYTES = 2
const ID_BYTES = 4

/** Ids of timers; below 16 for whatever may come. */
export const TimerStateId = { event: 0, processing: 1 } as const
export const FIRST_STATE_ID = 16

const META_PREFIX = Uint8Array.of(0xff, 0xff)

export function stateIdOf(name: string): number {
  return murmur3(utf8Encode(name), 0, undefined, 0x6d6f7261)
}

/** A key of its own for what belongs to no key group. */
export function metaKey(name: string): Uint8Array {
  return new ByteWriter(32).bytes(META_PREFIX).bytes(utf8Encode(name)).finish()
}

/** Key group and state id. */
export const HEAD_BYTES: number = GROUP_BYTES + ID_BYTES

/** The key of a value, and what the keys of a map's or list's entries begin with. */
export function stateKey(group: number, stateId: number, key: Uint8Array, namespace: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + escapedSize(key) + escapedSize(namespace))
  writeHead(bytes, group, stateId)
  copyEscaped(bytes, copyEscaped(bytes, HEAD_BYTES, key), namespace)
  return bytes
}

/** What all keys of (state, key) begin with, whatever their namespace. */
export function stateKeyPrefix(group: number, stateId: number, key: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + escapedSize(key))
  writeHead(bytes, group, stateId)
  copyEscaped(bytes, HEAD_BYTES, key)
  return bytes
}

/** What all keys of a state in one key group begin with. */
export function statePrefix(group: number, stateId: number): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES)
  writeHead(bytes, group, stateId)
  return bytes
}

/** What all keys of a key group begin with; as the end of a range, the first key beyond the groups before it. */
export function groupPrefix(group: number): Uint8Array {
  return Uint8Array.of(group >>> 8, group)
}

/** The key of a map's entry. */
export function mapEntryKey(prefix: Uint8Array, mapKey: Uint8Array): Uint8Array {
  const key = new Uint8Array(prefix.length + mapKey.length)
  key.set(prefix)
  key.set(mapKey, prefix.length)
  return key
}

/** The key of a list's element. */
export function listElementKey(prefix: Uint8Array, number: number): Uint8Array {
  const key = new Uint8Array(prefix.length + 8)
  key.set(prefix)
  let rest = number
  for (let at = key.length - 1; at >= prefix.length; at--) {
    key[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return key
}

export interface StateKeyParts {
  readonly group: number
  readonly stateId: number
  readonly key: Uint8Array
  readonly namespace: Uint8Array
  /** Where the map key or element number begins. */
  readonly restAt: number
}

/** CORRUPTION when it is no state key. */
export function parseStateKey(bytes: Uint8Array): StateKeyParts {
  const reader = new ByteReader(bytes, 'a state key')
  reader.view(HEAD_BYTES)
  const group = groupOf(bytes)
  const stateId = stateIdAt(bytes)
  const key = readEscaped(reader)
  const namespace = readEscaped(reader)
  return { group, stateId, key, namespace, restAt: reader.position }
}

/** Whether a key belongs to a key group at all. */
export function isGroupKey(bytes: Uint8Array): boolean {
  return bytes.length >= GROUP_BYTES + ID_BYTES && (bytes[0] as number) < 0x80
}

export function stateIdAt(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(GROUP_BYTES)
}

/** The key group in any state or timer key. */
export function groupOf(bytes: Uint8Array): number {
  return ((bytes[0] as number) << 8) | (bytes[1] as number)
}

export interface TimerKeyParts {
  readonly time: Uint8Array
  readonly key: Uint8Array
  readonly namespace: Uint8Array
}

export function timerKey(group: number, stateId: number, time: Uint8Array, key: Uint8Array, namespace: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + time.length + escapedSize(key) + escapedSize(namespace))
  writeHead(bytes, group, stateId)
  bytes.set(time, HEAD_BYTES)
  copyEscaped(bytes, copyEscaped(bytes, HEAD_BYTES + time.length, key), namespace)
  return bytes
}

export function parseTimerKey(bytes: Uint8Array): TimerKeyParts {
  const reader = new ByteReader(bytes, 'a timer')
  reader.view(HEAD_BYTES)
  const time = reader.bytes(8)
  return { time, key: readEscaped(reader), namespace: readEscaped(reader) }
}

function writeHead(bytes: Uint8Array, group: number, stateId: number): void {
  bytes[0] = group >>> 8
  bytes[1] = group
  bytes[2] = stateId >>> 24
  bytes[3] = stateId >>> 16
  bytes[4] = stateId >>> 8
  bytes[5] = stateId
}
