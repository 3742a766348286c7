import type { CacheDisk, CacheFile } from './cache-disk.ts'
import {
  type BlockKey,
  type CacheRecord,
  openRecord,
  readRecordHeader,
  RECORD_HEADER_MAX_BYTES,
  recordSize,
  writeRecord,
} from './cache-record.ts'
import {
  decodeSegmentFooter,
  decodeSegmentIndex,
  encodeSegmentHeader,
  isSegmentHeader,
  SEGMENT_FOOTER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentEntry,
  SegmentIndexBuilder,
} from './segment-index.ts'

/** One segment file: written once from front to end by the process that made it, read by position. */
export class CacheSegment {
  readonly path: string
  /** Which of the segments in memory this is; the number of one that is gone is used again. */
  readonly slot: number
  readonly #file: CacheFile
  #builder: SegmentIndexBuilder | undefined
  #end: number

  private constructor(path: string, slot: number, file: CacheFile, end: number, builder: SegmentIndexBuilder | undefined) {
    this.path = path
    this.slot = slot
    this.#file = file
    this.#end = end
    this.#builder = builder
  }

  static async create(disk: CacheDisk, path: string, slot: number, databaseId: string): Promise<CacheSegment> {
    const file = await disk.createFile(path)
    try {
      const header = encodeSegmentHeader(databaseId)
      await file.write(header, 0)
      return new CacheSegment(path, slot, file, header.length, new SegmentIndexBuilder())
    } catch (error) {
      await file.close().catch(() => {})
      await disk.remove(path).catch(() => {})
      throw error
    }
  }

  /** A segment that an earlier process left; undefined when it is gone, or not a segment of this database. */
  static async open(disk: CacheDisk, path: string, slot: number, databaseId: string): Promise<CacheSegment | undefined> {
    const file = await disk.openFile(path)
    if (file === undefined) return undefined
    const header = new Uint8Array(SEGMENT_HEADER_BYTES)
    let isOurs = false
    try {
      isOurs = (await file.read(header, 0)) === header.length && isSegmentHeader(header, databaseId)
    } finally {
      if (!isOurs) await file.close()
    }
    return isOurs ? new CacheSegment(path, slot, file, file.sizeBytes, undefined) : undefined
  }

  /** Bytes of the file. */
  get sizeBytes(): number {
    return this.#end
  }

  /** Whether a record still fits, with the index that is to follow, into a file of `capacity` bytes. */
  hasRoomFor({ id, bytes }: CacheRecord, pendingBytes: number, capacity: number): boolean {
    const builder = this.#builder
    if (builder === undefined) return false
    return this.#end + pendingBytes + recordSize(id, bytes.length) + builder.sizeWith(id) <= capacity
  }

  /** Appends records, which must fit; gives where they stand once they are in the file. */
  async append(records: readonly CacheRecord[]): Promise<SegmentEntry[]> {
    const builder = this.#builder as SegmentIndexBuilder
    const size = records.reduce((sum, { id, bytes }) => sum + recordSize(id, bytes.length), 0)
    const buffer = new Uint8Array(size)
    const entries: SegmentEntry[] = []
    let at = 0
    for (const record of records) {
      entries.push({ id: record.id, offset: record.offset, length: record.bytes.length, position: this.#end + at })
      at = writeRecord(buffer, at, record)
    }
    const start = this.#end
    // Counted before it is written: what a failed write leaves behind takes room as well.
    this.#end += size
    await this.#file.write(buffer, start)
    for (const entry of entries) builder.add(entry)
    return entries
  }

  /** Writes the index. Nothing can be appended any more, also when this fails. */
  async seal(): Promise<void> {
    const builder = this.#builder
    this.#builder = undefined
    if (builder === undefined) return
    const index = builder.encode(this.#end)
    const start = this.#end
    this.#end += index.length
    await this.#file.write(index, start)
  }

  /** No more records, and no index: after a failed write it is not known what the file holds. */
  giveUp(): void {
    this.#builder = undefined
  }

  /** The bytes of a record as a view; undefined when it is not there as it should be. */
  async read(position: number, key: BlockKey): Promise<Uint8Array | undefined> {
    const record = new Uint8Array(recordSize(key.id, key.length))
    const read = await this.#file.read(record, position)
    return read === record.length ? openRecord(record, key) : undefined
  }

  /** What the segment holds, by its index or by walking over it. What it says is not verified yet. */
  async entries(): Promise<readonly SegmentEntry[]> {
    if (this.#builder !== undefined) return this.#builder.entries()
    return (await this.#readIndex().catch(() => undefined)) ?? (await this.#walk())
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #readIndex(): Promise<SegmentEntry[] | undefined> {
    const footer = new Uint8Array(SEGMENT_FOOTER_BYTES)
    const indexEnd = this.#end - footer.length
    if (indexEnd < SEGMENT_HEADER_BYTES || (await this.#file.read(footer, indexEnd)) !== footer.length) return undefined
    const start = decodeSegmentFooter(footer)
    if (start === undefined || start < SEGMENT_HEADER_BYTES || start > indexEnd) return undefined
    const index = new Uint8Array(indexEnd - start)
    return (await this.#file.read(index, start)) === index.length ? decodeSegmentIndex(index) : undefined
  }

  async #walk(): Promise<SegmentEntry[]> {
    const entries: SegmentEntry[] = []
    const window = new Uint8Array(WALK_WINDOW_BYTES)
    let windowStart = 0
    let windowEnd = 0
    for (let at = SEGMENT_HEADER_BYTES; at < this.#end; ) {
      if (at + RECORD_HEADER_MAX_BYTES > windowEnd) {
        windowStart = at
        windowEnd = at + (await this.#file.read(window, at))
      }
      const key = readRecordHeader(window.subarray(0, windowEnd - windowStart), at - windowStart)
      if (key === undefined || at + recordSize(key.id, key.length) > this.#end) break
      entries.push({ ...key, position: at })
      at += recordSize(key.id, key.length)
    }
    return entries
  }
}

const WALK_WINDOW_BYTES = 64 * 1024
