/**
 * One record of a write-ahead log: a group of writes that was acknowledged together. A log is records back to back,
 * in a local segment file or in an object; this file knows neither. Numbers are little-endian.
 *
 *     offset  size
 *          0     4   magic "MWR1"
 *          4     4   payload length n
 *          8     8   sequence of the first write
 *         16     4   number of writes; they take consecutive sequences
 *         20     4   CRC-32C of the payload, masked
 *         24     4   CRC-32C of bytes 0..23, masked
 *         28     n   payload (the write batch codec's bytes)
 *     28 + n     1   end mark 0xE7
 *
 * A crash leaves a log that ends in the middle of a record, and reading must stop there without complaint; a damaged
 * byte must never be mistaken for such an end, because acknowledged writes would vanish in silence. Three things
 * tell them apart. The header has a checksum of its own, so that a length is trusted before the payload is there. A
 * file that was extended but not filled reads as zeros, so an end may also be a run of zeros that reaches to the end
 * of the file. And the end mark is not zero, so that a whole record, whatever its payload, never looks like one whose
 * last bytes were lost.
 */
import { ByteReader, ByteWriter, crc32c, maskCrc32c, MoraineError } from '@moraine/base'

export const WAL_RECORD_MAGIC = 0x3152574d
export const WAL_RECORD_HEADER_BYTES = 28
export const WAL_RECORD_END_MARK = 0xe7
/** What a record adds to its payload. */
export const WAL_RECORD_OVERHEAD_BYTES: number = WAL_RECORD_HEADER_BYTES + 1
/** The largest payload; one read or write of a file cannot take more. */
export const WAL_RECORD_MAX_PAYLOAD_BYTES = 0x7fff_0000

const CHECKED_HEADER_BYTES = 24
const END_MARK = Uint8Array.of(WAL_RECORD_END_MARK)

export interface WalRecord {
  /** Sequence of the first write of the group. */
  readonly firstSeq: number
  /** Number of writes; the last one has sequence `firstSeq + count - 1`. */
  readonly count: number
  readonly payload: Uint8Array
}

/** What stands at one position of a log. */
export type WalRecordStep =
  /** A whole record; the next one starts at `end`. */
  | { readonly kind: 'record'; readonly record: WalRecord; readonly end: number }
  /** The log ends exactly here. */
  | { readonly kind: 'end' }
  /** The log ends here, in a record that was never completed and so never acknowledged. */
  | { readonly kind: 'torn' }
  /** Stored bytes were changed after they were written. */
  | { readonly kind: 'damaged'; readonly reason: string }

const END: WalRecordStep = { kind: 'end' }
const TORN: WalRecordStep = { kind: 'torn' }

/** The pieces of one record, in order; the payload's pieces are passed through, not copied. */
export function frameWalRecord(firstSeq: number, count: number, payload: readonly Uint8Array[]): Uint8Array[] {
  let length = 0
  let crc = 0
  for (const piece of payload) {
    length += piece.length
    crc = crc32c(piece, 0, piece.length, crc)
  }
  if (length > WAL_RECORD_MAX_PAYLOAD_BYTES) {
    const limit = WAL_RECORD_MAX_PAYLOAD_BYTES
    throw new MoraineError('INVALID', `one group of writes is ${length} bytes, the log takes ${limit}: split the batch`)
  }
  const header = new ByteWriter(WAL_RECORD_HEADER_BYTES)
  header.u32(WAL_RECORD_MAGIC).u32(length).u64(firstSeq).u32(count).u32(maskCrc32c(crc))
  header.u32(maskCrc32c(crc32c(header.view())))
  return [header.view(), ...payload, END_MARK]
}

/**
 * Reads what stands at `at` of a log whose bytes are all here. The payload is a view of `log`. Only a log that a
 * crash can cut (a local file) may take `torn` for its end; an object is written whole, there it is damage too.
 */
export function readWalRecord(log: Uint8Array, at: number): WalRecordStep {
  const remaining = log.length - at
  if (remaining === 0) return END
  if (remaining < WAL_RECORD_HEADER_BYTES) return TORN
  const payloadStart = at + WAL_RECORD_HEADER_BYTES
  const headerCrc = maskCrc32c(crc32c(log, at, at + CHECKED_HEADER_BYTES))
  const reader = new ByteReader(log, 'the write-ahead log', at, payloadStart)
  const magic = reader.u32()
  const length = reader.u32()
  const seqLow = reader.u32()
  const seqHigh = reader.u32()
  const count = reader.u32()
  const payloadCrc = reader.u32()
  if (reader.u32() !== headerCrc || magic !== WAL_RECORD_MAGIC) {
    // A record whose header is followed by nothing but zeros lacks its end mark: it was never completed.
    if (isZeroFrom(log, payloadStart)) return TORN
    return { kind: 'damaged', reason: 'the record header does not match its checksum' }
  }
  const firstSeq = seqHigh * 0x1_0000_0000 + seqLow
  if (count === 0 || firstSeq === 0 || !Number.isSafeInteger(firstSeq + (count - 1))) {
    return { kind: 'damaged', reason: `the record claims ${count} writes from sequence ${firstSeq}` }
  }
  const payloadEnd = payloadStart + length
  if (payloadEnd >= log.length) return TORN
  const whole = maskCrc32c(crc32c(log, payloadStart, payloadEnd)) === payloadCrc
  const mark = log[payloadEnd]
  if (mark !== WAL_RECORD_END_MARK) {
    const lostEnd = mark === 0 && isZeroFrom(log, payloadEnd)
    if (!lostEnd) return { kind: 'damaged', reason: 'the record does not end with its end mark' }
    if (!whole) return TORN
    // Only the mark is missing. The payload proves itself, and keeping one write too many is safe, losing one is not.
  } else if (!whole) {
    return { kind: 'damaged', reason: 'the record payload does not match its checksum' }
  }
  const record: WalRecord = { firstSeq, count, payload: log.subarray(payloadStart, payloadEnd) }
  return { kind: 'record', record, end: payloadEnd + 1 }
}

function isZeroFrom(bytes: Uint8Array, from: number): boolean {
  for (let i = bytes.length - 1; i >= from; i--) if (bytes[i] !== 0) return false
  return true
}
