/**
 * The two headers of a local write-ahead log: `wal.header` says whose log the folder is, and every segment file
 * starts with its own, so that a file which strayed into the wrong folder is seen. Both are one block of 512 bytes,
 * the unit a disk writes whole:
 *
 *     offset  size
 *          0     8   magic "MRNWALF1" (folder) or "MRNWALS1" (segment)
 *          8     4   format version
 *         12         database id (varint length, UTF-8), WAL id (the same)
 *                    segment only: epoch, segment number, first sequence of the segment, first sequence of the epoch
 *                    (u64 each, little-endian)
 *                    zeros
 *        508     4   CRC-32C of bytes 0..507, masked
 */
import { ByteReader, ByteWriter, crc32c, maskCrc32c, MoraineError } from '@moraine/base'

export const WAL_HEADER_BYTES = 512
export const WAL_FORMAT_VERSION = 1

const CHECKED_BYTES = 508
const FOLDER_MAGIC = 'MRNWALF1'
const SEGMENT_MAGIC = 'MRNWALS1'
const MAX_ID_BYTES = 200

export interface WalIdentity {
  readonly databaseId: string
  /** Random, one for each log folder; the manifest names the log that continues it. */
  readonly walId: string
}

export interface WalSegmentHeader extends WalIdentity {
  readonly epoch: number
  readonly number: number
  /** Sequence of the first write that the segment may hold. */
  readonly firstSeq: number
  /**
   * Sequence at which the epoch took the log over. A deposed writer may still append, unacknowledged, to its own
   * segments; its records from here on are not part of history.
   */
  readonly epochFirstSeq: number
}

export function encodeFolderHeader(identity: WalIdentity): Uint8Array {
  return seal(start(FOLDER_MAGIC, identity))
}

export function encodeSegmentHeader(header: WalSegmentHeader): Uint8Array {
  const writer = start(SEGMENT_MAGIC, header)
  writer.u64(header.epoch).u64(header.number).u64(header.firstSeq).u64(header.epochFirstSeq)
  return seal(writer)
}

/** @param what names the file, for the error message. */
export function decodeFolderHeader(block: Uint8Array, what: string): WalIdentity {
  return identityOf(unseal(FOLDER_MAGIC, block, what))
}

/** @param what names the file, for the error message. */
export function decodeSegmentHeader(block: Uint8Array, what: string): WalSegmentHeader {
  const reader = unseal(SEGMENT_MAGIC, block, what)
  const identity = identityOf(reader)
  return {
    ...identity,
    epoch: reader.u64(),
    number: reader.u64(),
    firstSeq: reader.u64(),
    epochFirstSeq: reader.u64(),
  }
}

function start(magic: string, identity: WalIdentity): ByteWriter {
  const writer = new ByteWriter(WAL_HEADER_BYTES)
  for (let i = 0; i < magic.length; i++) writer.u8(magic.charCodeAt(i))
  writer.u32(WAL_FORMAT_VERSION)
  for (const id of [identity.databaseId, identity.walId]) {
    const before = writer.length
    writer.text(id)
    if (writer.length - before > MAX_ID_BYTES) {
      throw new MoraineError('INVALID', `the id "${id.slice(0, 40)}..." is too long for a write-ahead log header`)
    }
  }
  return writer
}

function seal(writer: ByteWriter): Uint8Array {
  while (writer.length < CHECKED_BYTES) writer.u8(0)
  const crc = maskCrc32c(crc32c(writer.view()))
  return writer.u32(crc).finish()
}

function unseal(magic: string, block: Uint8Array, what: string): ByteReader {
  if (block.length !== WAL_HEADER_BYTES) {
    const message = `${what} is damaged: its header has ${block.length} bytes instead of ${WAL_HEADER_BYTES}`
    throw new MoraineError('CORRUPTION', message, { detail: { file: what } })
  }
  const stored = new ByteReader(block, what, CHECKED_BYTES).u32()
  const reader = new ByteReader(block, what, 0, CHECKED_BYTES)
  const found = String.fromCharCode(...reader.view(magic.length))
  if (found !== magic || maskCrc32c(crc32c(block, 0, CHECKED_BYTES)) !== stored) {
    const message = `${what} is damaged or is no write-ahead log: its header does not match its checksum`
    throw new MoraineError('CORRUPTION', message, { detail: { file: what, offset: 0 } })
  }
  const version = reader.u32()
  if (version !== WAL_FORMAT_VERSION) {
    const message = `${what} has log format ${version}, this release reads ${WAL_FORMAT_VERSION}: use a newer release`
    throw new MoraineError('INVALID', message, { detail: { file: what, version } })
  }
  return reader
}

function identityOf(reader: ByteReader): WalIdentity {
  return { databaseId: reader.text(), walId: reader.text() }
}
