import { crc32c } from '@moraine/base'
import { unstoredBytes } from '@moraine/sstable'
import { blobName } from '../layout/object-names.ts'
import { damagedBlob, RECORD_HEADER_BYTES } from './blob-format.ts'
import type { BlobReference } from './blob-reference.ts'

/** Larger values are stored as they are: packing them, and worse unpacking them, would stop everything else for too long. */
export const MOST_COMPRESSED_BYTES: number = 4 * 1024 * 1024

const CRC_BYTES = 4

/** The fields at the beginning of a record, not to be believed before its checksum was verified. */
export interface RecordHeader {
  readonly crc32c: number
  readonly compressionType: number
  readonly payloadLength: number
  readonly valueLength: number
}

export function readRecordHeader(bytes: Uint8Array, at: number): RecordHeader {
  const u32 = (from: number): number =>
    ((bytes[from] as number) |
      ((bytes[from + 1] as number) << 8) |
      ((bytes[from + 2] as number) << 16) |
      ((bytes[from + 3] as number) << 24)) >>>
    0
  return { crc32c: u32(at), compressionType: bytes[at + 4] as number, payloadLength: u32(at + 5), valueLength: u32(at + 9) }
}

/** The checksum that stands at the beginning of the record `bytes[start, end)`. */
export function recordChecksum(bytes: Uint8Array, start: number, end: number): number {
  return crc32c(bytes, start + CRC_BYTES, end)
}

/** Throws CORRUPTION unless `bytes[start, end)` is the very record that a reference names. */
export function verifyRecord(reference: BlobReference, bytes: Uint8Array, start: number, end: number): void {
  const name = blobName(reference.id)
  if (end - start !== reference.recordBytes || end - start < RECORD_HEADER_BYTES) {
    throw damagedBlob(name, `it ends within the value at ${reference.offset}`)
  }
  const header = readRecordHeader(bytes, start)
  const sound =
    header.crc32c === reference.crc32c &&
    recordChecksum(bytes, start, end) === header.crc32c &&
    header.payloadLength === reference.recordBytes - RECORD_HEADER_BYTES &&
    header.valueLength === reference.valueBytes
  if (!sound) throw damagedBlob(name, `the value at ${reference.offset} is not the one that the table refers to`)
}

/**
 * The value of a verified record: a view of `bytes` when it was stored as it is and `bytes` hold hardly more, else an array
 * of its own, because a view would keep the whole download alive.
 */
export function valueOfRecord(reference: BlobReference, bytes: Uint8Array, start: number, end: number): Uint8Array {
  const name = blobName(reference.id)
  const { compressionType } = readRecordHeader(bytes, start)
  const what = `the value at ${reference.offset}`
  const value = unstoredBytes(compressionType, bytes, start + RECORD_HEADER_BYTES, end, name, what)
  if (value.length !== reference.valueBytes) throw damagedBlob(name, `${what} has another length than was declared`)
  const isPart = value.buffer === bytes.buffer && bytes.buffer.byteLength - value.length > MOST_SPARE_BYTES
  return isPart ? new Uint8Array(value) : value
}

/** What a value may keep alive beside itself. */
const MOST_SPARE_BYTES = 64
