import { type ByteReader, ByteWriter, crc32c, MoraineError } from '@moraine/base'

/**
 * A blob file holds values that were too large for their tables:
 *
 *     file     = header | record* | footer
 *     header   = "MRNBLOB1" | format version u32                                                        12 bytes
 *     record   = crc u32 | compression type u8 | payload length u32 | value length u32 | payload
 *     footer   = record count u64 | payload bytes u64 | value bytes u64 | crc u32 | "MRNBLOBE"          36 bytes
 *
 *     crc      = CRC-32C of the record after it, or of the footer before it
 *     payload  = the value, or as a block of a table is compressed: raw length varint32 | LZ4 block or ZSTD frame
 *
 * Compression types are those of the table format. Records follow one another without a gap. A read goes straight to
 * its record: the reference in the table says where it is and repeats its lengths and its checksum, so that a record in
 * the wrong place is seen. Header and footer are for whoever walks a file from end to end.
 */
export const BLOB_HEADER_BYTES = 12
export const BLOB_FOOTER_BYTES = 36
export const RECORD_HEADER_BYTES = 13

const FORMAT_VERSION = 1
const HEADER_MAGIC = [...'MRNBLOB1'].map((letter) => letter.charCodeAt(0))
const FOOTER_MAGIC = [...'MRNBLOBE'].map((letter) => letter.charCodeAt(0))
const FOOTER_CHECKED_BYTES = 24

/** What a blob file holds in all. */
export interface BlobTotals {
  readonly records: number
  /** Values as they are stored. */
  readonly payloadBytes: number
  /** Values as they were given. */
  readonly valueBytes: number
}

export function encodeBlobHeader(): Uint8Array {
  return new ByteWriter(BLOB_HEADER_BYTES).bytes(Uint8Array.from(HEADER_MAGIC)).u32(FORMAT_VERSION).finish()
}

export function encodeBlobFooter({ records, payloadBytes, valueBytes }: BlobTotals): Uint8Array {
  const writer = new ByteWriter(BLOB_FOOTER_BYTES).u64(records).u64(payloadBytes).u64(valueBytes)
  writer.u32(crc32c(writer.view()))
  return writer.bytes(Uint8Array.from(FOOTER_MAGIC)).finish()
}

export function checkBlobHeader(reader: ByteReader, name: string): void {
  if (HEADER_MAGIC.some((byte) => reader.u8() !== byte)) throw damagedBlob(name, 'it does not begin like a blob file')
  const version = reader.u32()
  if (version !== FORMAT_VERSION) {
    throw new MoraineError('INVALID', `blob file ${name} has format ${version}, which this program does not know: upgrade it`)
  }
}

/** Reads the last bytes of a file. */
export function decodeBlobFooter(bytes: Uint8Array, reader: ByteReader, name: string): BlobTotals {
  const start = reader.position
  const totals = { records: reader.u64(), payloadBytes: reader.u64(), valueBytes: reader.u64() }
  const crc = reader.u32()
  if (crc !== crc32c(bytes, start, start + FOOTER_CHECKED_BYTES) || FOOTER_MAGIC.some((byte) => reader.u8() !== byte)) {
    throw damagedBlob(name, 'its footer is not what was written')
  }
  return totals
}

export function damagedBlob(name: string, problem: string): MoraineError {
  return new MoraineError('CORRUPTION', `blob file ${name} is damaged: ${problem}`, { detail: { file: name } })
}
