/**
 * The parts of a segment file that are not records:
 *
 *     header   256 bytes: magic "MRNCSEG1", database id (varint length, UTF-8), zeros, CRC-32C of bytes 0..251, masked
 *     records  see cache-record.ts
 *     index    how many ids, the ids (each with a varint length); how many records, and of each: number of its id, offset,
 *              length, position of the record in the segment (varints); CRC-32C of all that, masked
 *     footer   16 bytes: position of the index (u64), magic "MRNCEND1"
 *
 * Index and footer are written when the segment is sealed. A segment without them, because its process was killed, is
 * walked from header to header instead.
 */
import { ByteReader, ByteWriter, crc32c, maskCrc32c } from '@moraine/base'
import type { FileId } from '../../layout/object-names.ts'
import type { BlockKey } from './cache-record.ts'

export const SEGMENT_HEADER_BYTES = 256
export const SEGMENT_FOOTER_BYTES = 16

const HEADER_CHECKED_BYTES = 252
const HEADER_MAGIC = 'MRNCSEG1'
const FOOTER_MAGIC = 'MRNCEND1'

/** A record of a segment, and where it stands there. */
export interface SegmentEntry extends BlockKey {
  readonly position: number
}

/** Upper bounds of what the index takes: for itself, for each id, for each record. */
const INDEX_BASE_BYTES = 16
const INDEX_ID_BYTES = 2
const INDEX_ENTRY_BYTES = 5 + 8 + 5 + 5

export function encodeSegmentHeader(databaseId: string): Uint8Array {
  const writer = new ByteWriter(SEGMENT_HEADER_BYTES)
  for (const letter of HEADER_MAGIC) writer.u8(letter.charCodeAt(0))
  writer.text(databaseId)
  while (writer.length < HEADER_CHECKED_BYTES) writer.u8(0)
  return writer.u32(maskCrc32c(crc32c(writer.view()))).finish()
}

/** Whether this is the header of a segment of that database. */
export function isSegmentHeader(bytes: Uint8Array, databaseId: string): boolean {
  return Buffer.compare(bytes, encodeSegmentHeader(databaseId)) === 0
}

/** Collects the index of a segment that is being written. */
export class SegmentIndexBuilder {
  readonly #ids = new Map<FileId, number>()
  readonly #entries: SegmentEntry[] = []
  #idBytes = 0

  get count(): number {
    return this.#entries.length
  }

  /** What index and footer take at most, if a record of this file is added. */
  sizeWith(id: FileId): number {
    const ids = this.#ids.has(id) ? this.#idBytes : this.#idBytes + id.length + INDEX_ID_BYTES
    return INDEX_BASE_BYTES + ids + (this.#entries.length + 1) * INDEX_ENTRY_BYTES + SEGMENT_FOOTER_BYTES
  }

  add(entry: SegmentEntry): void {
    if (!this.#ids.has(entry.id)) {
      this.#ids.set(entry.id, this.#ids.size)
      this.#idBytes += entry.id.length + INDEX_ID_BYTES
    }
    this.#entries.push(entry)
  }

  entries(): readonly SegmentEntry[] {
    return this.#entries
  }

  /** Index and footer, for a segment whose records end at `position`. */
  encode(position: number): Uint8Array {
    const writer = new ByteWriter(1024).varint(this.#ids.size)
    for (const id of this.#ids.keys()) writer.text(id)
    writer.varint(this.#entries.length)
    for (const { id, offset, length, position: at } of this.#entries) {
      writer.varint(this.#ids.get(id) as number).varint(offset).varint(length).varint(at)
    }
    writer.u32(maskCrc32c(crc32c(writer.view()))).u64(position)
    for (const letter of FOOTER_MAGIC) writer.u8(letter.charCodeAt(0))
    return writer.finish()
  }
}

/** Where the index of a segment starts by its footer; undefined when that is none. */
export function decodeSegmentFooter(footer: Uint8Array): number | undefined {
  const reader = new ByteReader(footer, 'a segment footer')
  const low = reader.u32()
  const position = reader.u32() * 0x1_0000_0000 + low
  const isFooter = [...FOOTER_MAGIC].every((letter, i) => footer[8 + i] === letter.charCodeAt(0))
  return isFooter ? position : undefined
}

/** Throws when the bytes are not what `encode` wrote before the footer. */
export function decodeSegmentIndex(bytes: Uint8Array): SegmentEntry[] {
  const end = bytes.length - 4
  const stored = new ByteReader(bytes, 'a segment index', Math.max(0, end)).u32()
  const reader = new ByteReader(bytes, 'a segment index', 0, end)
  if (maskCrc32c(crc32c(bytes, 0, end)) !== stored) throw new Error('a segment index does not match its checksum')
  const ids = Array.from({ length: reader.count(1) }, () => reader.text() as FileId)
  return Array.from({ length: reader.count(4) }, () => {
    const id = ids[reader.varint()] as FileId
    return { id, offset: reader.varint(), length: reader.varint(), position: reader.varint() }
  })
}
