import { crc32c } from '@moraine/base'
import { ChunkedOutput, type Compression, storedBytes } from '@moraine/sstable'
import type { FileId } from '../layout/object-names.ts'
import { encodeBlobFooter, encodeBlobHeader, RECORD_HEADER_BYTES } from './blob-format.ts'
import { MOST_COMPRESSED_BYTES } from './blob-record.ts'
import type { BlobReference } from './blob-reference.ts'

/** A finished blob file that is still in memory. */
export interface BuiltBlobFile {
  readonly id: FileId
  /** Its pieces in order. */
  readonly parts: readonly Uint8Array[]
  readonly sizeBytes: number
}

/** Writes one blob file, value by value. Nothing of an argument is kept. */
export class BlobFileWriter {
  readonly id: FileId
  readonly #parts: Uint8Array[] = []
  readonly #output: ChunkedOutput
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)
  #records = 0
  #payloadBytes = 0
  #valueBytes = 0

  constructor(id: FileId) {
    this.id = id
    this.#output = new ChunkedOutput((chunk) => this.#parts.push(chunk))
    const header = encodeBlobHeader()
    this.#output.write(header, 0, header.length)
  }

  /** Bytes written so far. */
  get sizeBytes(): number {
    return this.#output.length
  }

  /** Appends the value `bytes[start, end)`. */
  add(bytes: Uint8Array, start: number, end: number, compression: Compression): BlobReference {
    const valueBytes = end - start
    const stored = storedBytes(valueBytes > MOST_COMPRESSED_BYTES ? 'none' : compression, bytes, start, end)
    const header = this.#header
    header.writeUInt8(stored.compressionType, 4)
    header.writeUInt32LE(stored.end - stored.start, 5)
    header.writeUInt32LE(valueBytes, 9)
    const checksum = crc32c(stored.bytes, stored.start, stored.end, crc32c(header, 4))
    header.writeUInt32LE(checksum, 0)
    const offset = this.#output.length
    this.#output.write(header, 0, header.length)
    this.#output.write(stored.bytes, stored.start, stored.end)
    return this.#added(offset, valueBytes, checksum)
  }

  /** Appends a record of another blob file, which was verified, as it is: `bytes[start, end)`. */
  copy(record: BlobReference, bytes: Uint8Array, start: number, end: number): BlobReference {
    const offset = this.#output.length
    this.#output.write(bytes, start, end)
    return this.#added(offset, record.valueBytes, record.crc32c)
  }

  finish(): BuiltBlobFile {
    const totals = { records: this.#records, payloadBytes: this.#payloadBytes, valueBytes: this.#valueBytes }
    const footer = encodeBlobFooter(totals)
    this.#output.write(footer, 0, footer.length)
    this.#output.finish()
    return { id: this.id, parts: this.#parts, sizeBytes: this.#output.length }
  }

  #added(offset: number, valueBytes: number, checksum: number): BlobReference {
    const recordBytes = this.#output.length - offset
    this.#records++
    this.#payloadBytes += recordBytes - RECORD_HEADER_BYTES
    this.#valueBytes += valueBytes
    return { id: this.id, offset, recordBytes, valueBytes, crc32c: checksum }
  }
}
