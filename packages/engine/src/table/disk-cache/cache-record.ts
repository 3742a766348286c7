/**
 * A record of a segment file: some bytes of a file of the store, and which ones. Numbers are little-endian.
 *
 *     offset  size
 *          0     4   magic "MRNB"
 *          4     4   CRC-32C of everything behind this field, masked
 *          8     4   length of the bytes
 *         12     8   their offset in the file of the store
 *         20     1   length of the file's id
 *         21     n   the file's id, ASCII
 *       21+n         the bytes
 *
 * A record is only believed by somebody who says which bytes are expected: the checksum covers the identity, so a record
 * that was damaged, cut or overwritten by another one is no record of those.
 */
import { crc32c, maskCrc32c } from '@moraine/base'
import type { FileId } from '../../layout/object-names.ts'

/** Which bytes of which file. */
export interface BlockKey {
  readonly id: FileId
  readonly offset: number
  readonly length: number
}

/** Bytes that came from the store. */
export interface CacheRecord {
  readonly id: FileId
  readonly offset: number
  readonly bytes: Uint8Array
}

const MAGIC = 0x424e524d
const CHECKED_FROM = 8
const ID_AT = 21
const MAX_ID_LENGTH = 255

export const RECORD_HEADER_MAX_BYTES: number = ID_AT + MAX_ID_LENGTH

export function recordSize(id: FileId, length: number): number {
  return ID_AT + id.length + length
}

/** Writes a record at `at` and returns its end. */
export function writeRecord(target: Uint8Array, at: number, record: CacheRecord): number {
  const { id, offset, bytes } = record
  const view = viewOf(target)
  view.setUint32(at, MAGIC, true)
  view.setUint32(at + 8, bytes.length, true)
  view.setUint32(at + 12, offset >>> 0, true)
  view.setUint32(at + 16, Math.floor(offset / 0x1_0000_0000), true)
  target[at + 20] = id.length
  for (let i = 0; i < id.length; i++) target[at + ID_AT + i] = id.charCodeAt(i)
  target.set(bytes, at + ID_AT + id.length)
  const end = at + recordSize(id, bytes.length)
  view.setUint32(at + 4, maskCrc32c(crc32c(target, at + CHECKED_FROM, end)), true)
  return end
}

/** The bytes of the record that `record` consists of, as a view; undefined when it is not exactly the one that is wanted. */
export function openRecord(record: Uint8Array, { id, offset, length }: BlockKey): Uint8Array | undefined {
  if (record.length !== recordSize(id, length)) return undefined
  const found = readRecordHeader(record, 0)
  if (found === undefined || found.id !== id || found.offset !== offset || found.length !== length) return undefined
  if (viewOf(record).getUint32(4, true) !== maskCrc32c(crc32c(record, CHECKED_FROM))) return undefined
  return record.subarray(ID_AT + id.length)
}

/**
 * What the record at `at` says that it holds; undefined where there is no header. Not verified: whoever reads the record
 * finds out.
 */
export function readRecordHeader(bytes: Uint8Array, at: number): BlockKey | undefined {
  if (at + ID_AT > bytes.length) return undefined
  const view = viewOf(bytes)
  if (view.getUint32(at, true) !== MAGIC) return undefined
  const idLength = bytes[at + 20] as number
  if (idLength === 0 || at + ID_AT + idLength > bytes.length) return undefined
  const id = String.fromCharCode(...bytes.subarray(at + ID_AT, at + ID_AT + idLength)) as FileId
  const offset = view.getUint32(at + 12, true) + view.getUint32(at + 16, true) * 0x1_0000_0000
  return { id, offset, length: view.getUint32(at + 8, true) }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
