import { ByteReader, type ByteWriter, fromHex, toHex } from '@moraine/base'
import { type FileId, fileIdOf, splitFileId } from '../layout/object-names.ts'

/**
 * What a table holds in the place of a value that lies in a blob file; the payload of an envelope with BLOB:
 *
 *     reference = file id | offset varint | record length varint | value length varint | crc u32
 *     file id   = epoch u48 | unique part, 12 bytes                                                     18 bytes
 */
export interface BlobReference {
  readonly id: FileId
  /** Where the record begins in the file. */
  readonly offset: number
  /** Length of the whole record. */
  readonly recordBytes: number
  /** Length of the value. */
  readonly valueBytes: number
  /** The record's checksum. */
  readonly crc32c: number
}

const UNIQUE_BYTES = 12

export function writeReference(writer: ByteWriter, { id, offset, recordBytes, valueBytes, crc32c }: BlobReference): void {
  const { epoch, unique } = splitFileId(id)
  const high = Math.floor(epoch / 0x1_0000_0000)
  writer.u32(epoch >>> 0).u8(high & 0xff).u8(high >>> 8).bytes(fromHex(unique) as Uint8Array)
  writer.varint(offset).varint(recordBytes).varint(valueBytes).u32(crc32c)
}

/** Reads the reference in `bytes[start, end)`; CORRUPTION when it is none. */
export function readReference(bytes: Uint8Array, start: number, end: number): BlobReference {
  const reader = new ByteReader(bytes, 'a reference to a blob file', start, end)
  const low = reader.u32()
  const epoch = (reader.u8() | (reader.u8() << 8)) * 0x1_0000_0000 + low
  const id = fileIdOf(epoch, toHex(reader.view(UNIQUE_BYTES)))
  const reference = { id, offset: reader.varint(), recordBytes: reader.varint(), valueBytes: reader.varint(), crc32c: reader.u32() }
  reader.expectEnd()
  return reference
}
