/**
 * One object of the write-ahead log in the store: a segment with one PUT's worth of writes, or the fence that ends an
 * epoch's log. A header, then records back to back (wal-record.ts); a fence is the header alone. Little-endian:
 *
 *     offset  size
 *          0     8   magic "MRNWALO1"
 *          8     4   format version
 *         12     1   1 segment, 2 fence
 *         13     8   epoch whose log it belongs to
 *         21     8   number n of the segment
 *         29     8   segment: sequence of the first write; fence: the epoch that made it
 *         37     8   settled: every number up to this one was created before this object was sent
 *         45     4   number of records
 *         49     4   bytes of all records
 *         53         token of the maker (varint length, UTF-8), database id (the same), zeros
 *        188     4   CRC-32C of bytes 0..187, masked
 *        192         records
 *
 * An object is written whole, so whatever does not add up is damage: a torn end, which a local file may have, is none
 * here. `settled` is how a hole is told from a crash: several segments are in flight at once, so a crash may leave
 * number 7 without number 6; but an object that says 6 was settled proves that it was there.
 */
import { ByteReader, ByteWriter, crc32c, maskCrc32c, MoraineError } from '@moraine/base'
import type { Epoch } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import { readWalRecord, type WalRecord } from './wal-record.ts'

export const STORE_WAL_HEADER_BYTES = 192
export const STORE_WAL_FORMAT_VERSION = 1

const CHECKED_BYTES = 188
const MAGIC = 'MRNWALO1'
const KIND_SEGMENT = 1
const KIND_FENCE = 2
const MAX_TEXT_BYTES = 64

interface StoreWalObject {
  readonly databaseId: string
  readonly epoch: Epoch
  readonly n: number
  /** Random per maker: tells the bytes of one maker from those of any other under the same name. */
  readonly token: string
  /** Numbers up to this one were created when this object was sent. */
  readonly settled: number
}

export interface StoreWalSegmentHeader extends StoreWalObject {
  readonly kind: 'segment'
  readonly firstSeq: number
  readonly recordCount: number
  readonly recordBytes: number
}

export interface StoreWalFenceHeader extends StoreWalObject {
  readonly kind: 'fence'
  /** The epoch that took over. */
  readonly byEpoch: Epoch
}

export type StoreWalHeader = StoreWalSegmentHeader | StoreWalFenceHeader

/** A whole segment object; `pieces` are the framed records in order. */
export function encodeStoreWalSegment(
  header: Omit<StoreWalSegmentHeader, 'kind' | 'recordBytes'>,
  pieces: readonly Uint8Array[],
): Uint8Array {
  const recordBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
  const object = new Uint8Array(STORE_WAL_HEADER_BYTES + recordBytes)
  object.set(encodeHeader(KIND_SEGMENT, header, header.firstSeq, header.recordCount, recordBytes))
  let at = STORE_WAL_HEADER_BYTES
  for (const piece of pieces) {
    object.set(piece, at)
    at += piece.length
  }
  return object
}

export function encodeStoreWalFence(fence: Omit<StoreWalFenceHeader, 'kind' | 'settled'>): Uint8Array {
  return encodeHeader(KIND_FENCE, { ...fence, settled: fence.n - 1 }, fence.byEpoch, 0, 0)
}

/** Decodes and checks one object under the name it was read from. CORRUPTION names the object. */
export function decodeStoreWalHeader(object: Uint8Array, databaseId: string, epoch: Epoch, n: number): StoreWalHeader {
  const name = walName(epoch, n)
  if (object.length < STORE_WAL_HEADER_BYTES) throw damaged(name, 0, `it has only ${object.length} bytes`)
  const stored = new ByteReader(object, name, CHECKED_BYTES, STORE_WAL_HEADER_BYTES).u32()
  const reader = new ByteReader(object, name, 0, CHECKED_BYTES)
  const found = String.fromCharCode(...reader.view(MAGIC.length))
  if (found !== MAGIC || maskCrc32c(crc32c(object, 0, CHECKED_BYTES)) !== stored) {
    throw damaged(name, 0, 'its header does not match its checksum')
  }
  const version = reader.u32()
  if (version !== STORE_WAL_FORMAT_VERSION) {
    const message = `${name} has log format ${version}, this release reads ${STORE_WAL_FORMAT_VERSION}: use a newer release`
    throw new MoraineError('INVALID', message, { detail: { object: name, version } })
  }
  const kind = reader.u8()
  const header = {
    epoch: reader.u64() as Epoch,
    n: reader.u64(),
    first: reader.u64(),
    settled: reader.u64(),
    recordCount: reader.u32(),
    recordBytes: reader.u32(),
    token: reader.text(),
    databaseId: reader.text(),
  }
  if (header.databaseId !== databaseId) {
    throw damaged(name, 0, `it belongs to database ${header.databaseId}, not to ${databaseId}`)
  }
  if (header.epoch !== epoch || header.n !== n) {
    throw damaged(name, 0, `it is number ${header.n} of epoch ${header.epoch} by its header`)
  }
  if (object.length !== STORE_WAL_HEADER_BYTES + header.recordBytes) {
    throw damaged(name, object.length, `it should have ${STORE_WAL_HEADER_BYTES + header.recordBytes} bytes`)
  }
  const { first, recordCount, recordBytes, ...common } = header
  if (kind === KIND_FENCE) return { ...common, kind: 'fence', byEpoch: first as Epoch }
  if (kind !== KIND_SEGMENT) throw damaged(name, 12, `it is of unknown kind ${kind}`)
  return { ...common, kind: 'segment', firstSeq: first, recordCount, recordBytes }
}

/** The records of a segment, all of them checked: as many as the header says, contiguous, nothing behind them. */
export function readStoreWalRecords(header: StoreWalSegmentHeader, object: Uint8Array): WalRecord[] {
  const name = walName(header.epoch, header.n)
  const records: WalRecord[] = []
  let at = STORE_WAL_HEADER_BYTES
  let next = header.firstSeq
  while (at < object.length) {
    const step = readWalRecord(object, at)
    if (step.kind !== 'record') throw damaged(name, at, step.kind === 'damaged' ? step.reason : 'a record is cut off')
    if (step.record.firstSeq !== next) {
      throw damaged(name, at, `the record begins with write ${step.record.firstSeq} instead of ${next}`)
    }
    records.push(step.record)
    next += step.record.count
    at = step.end
  }
  if (records.length !== header.recordCount || records.length === 0) {
    throw damaged(name, at, `it holds ${records.length} records instead of ${header.recordCount}`)
  }
  return records
}

/** The log in the store lacks an object, or one of them is damaged. */
export function damaged(name: string, offset: number, reason: string): MoraineError {
  const message =
    `the log segment ${name} is damaged: ${reason}. Nothing was replayed past it; restore the object from a backup ` +
    '(bucket versioning keeps it), or restore the database to a checkpoint'
  return new MoraineError('CORRUPTION', message, { detail: { object: name, offset } })
}

function encodeHeader(kind: number, object: StoreWalObject, first: number, recordCount: number, recordBytes: number): Uint8Array {
  const writer = new ByteWriter(STORE_WAL_HEADER_BYTES)
  for (let i = 0; i < MAGIC.length; i++) writer.u8(MAGIC.charCodeAt(i))
  writer.u32(STORE_WAL_FORMAT_VERSION).u8(kind)
  writer.u64(object.epoch).u64(object.n).u64(first).u64(object.settled).u32(recordCount).u32(recordBytes)
  for (const text of [object.token, object.databaseId]) {
    const before = writer.length
    writer.text(text)
    if (writer.length - before > MAX_TEXT_BYTES) {
      throw new MoraineError('INVALID', `the id "${text.slice(0, 40)}..." is too long for a log segment`)
    }
  }
  while (writer.length < CHECKED_BYTES) writer.u8(0)
  return writer.u32(maskCrc32c(crc32c(writer.view()))).finish()
}
