import { ByteReader, crc32c } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import {
  BLOB_FOOTER_BYTES,
  BLOB_HEADER_BYTES,
  type BlobTotals,
  checkBlobHeader,
  damagedBlob,
  decodeBlobFooter,
  RECORD_HEADER_BYTES,
} from './blob-format.ts'
import { readRecordHeader } from './blob-record.ts'

/** A record of a walk. Lengths in bytes. */
export interface WalkedRecord {
  readonly offset: number
  readonly recordBytes: number
  readonly valueBytes: number
  readonly compressionType: number
  readonly crc32c: number
}

const PIECE_BYTES = 1024 * 1024

/** The bytes of a file, read from its beginning to its end in requests of several pieces. */
class Pieces {
  readonly #store: Pick<ObjectStore, 'get'>
  readonly #name: string
  readonly #sizeBytes: number
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(store: Pick<ObjectStore, 'get'>, name: string, sizeBytes: number) {
    this.#store = store
    this.#name = name
    this.#sizeBytes = sizeBytes
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#start || offset + length > this.#start + this.#bytes.length) {
      const wanted = Math.min(Math.max(length, PIECE_BYTES * 4), this.#sizeBytes - offset)
      const body = await this.#store.get(this.#name, { range: { offset, length: wanted } })
      if (body === undefined) throw damagedBlob(this.#name, 'it is missing')
      if (body.objectSizeBytes !== this.#sizeBytes) {
        throw damagedBlob(this.#name, `it has ${body.objectSizeBytes} bytes instead of ${this.#sizeBytes}`)
      }
      this.#start = offset
      this.#bytes = body.bytes
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length)
  }
}

/**
 * Reads a whole blob file, from its header to its footer, and gives its records; memory holds a few pieces of it.
 * CORRUPTION at the first thing that is not as it was written.
 */
export async function* walkBlobFile(
  store: Pick<ObjectStore, 'get'>,
  name: string,
  sizeBytes: number,
): AsyncGenerator<WalkedRecord, BlobTotals> {
  const source = new Pieces(store, name, sizeBytes)
  if (sizeBytes < BLOB_HEADER_BYTES + BLOB_FOOTER_BYTES) throw damagedBlob(name, `it has ${sizeBytes} bytes, too few for one`)
  checkBlobHeader(new ByteReader(await source.read(0, BLOB_HEADER_BYTES), name), name)
  const end = sizeBytes - BLOB_FOOTER_BYTES
  const footer = await source.read(end, BLOB_FOOTER_BYTES)
  const totals = decodeBlobFooter(footer, new ByteReader(footer, name), name)
  let offset = BLOB_HEADER_BYTES
  let [records, payloadBytes, valueBytes] = [0, 0, 0]
  while (offset < end) {
    if (end - offset < RECORD_HEADER_BYTES) throw damagedBlob(name, `there is no record at ${offset}`)
    const bytes = await source.read(offset, RECORD_HEADER_BYTES)
    const header = readRecordHeader(bytes, 0)
    const recordBytes = RECORD_HEADER_BYTES + header.payloadLength
    if (offset + recordBytes > end) throw damagedBlob(name, `the record at ${offset} declares more bytes than the file has`)
    let checksum = crc32c(bytes, 4, RECORD_HEADER_BYTES)
    for (let at = offset + RECORD_HEADER_BYTES; at < offset + recordBytes; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, offset + recordBytes - at)
      checksum = crc32c(await source.read(at, length), 0, length, checksum)
    }
    if (checksum !== header.crc32c) throw damagedBlob(name, `the checksum of the record at ${offset} does not fit`)
    yield { offset, recordBytes, valueBytes: header.valueLength, compressionType: header.compressionType, crc32c: checksum }
    records++
    payloadBytes += header.payloadLength
    valueBytes += header.valueLength
    offset += recordBytes
  }
  if (records !== totals.records || payloadBytes !== totals.payloadBytes || valueBytes !== totals.valueBytes) {
    throw damagedBlob(name, 'its footer counts other records than there are')
  }
  return totals
}
