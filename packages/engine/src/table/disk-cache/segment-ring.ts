import { join } from 'node:path'
import { type Random, randomHex } from '@moraine/base'
import type { FileId } from '../../layout/object-names.ts'
import { BlockLocations } from './block-locations.ts'
import type { CacheDisk } from './cache-disk.ts'
import { type CacheRecord, recordSize } from './cache-record.ts'
import { CacheSegment } from './cache-segment.ts'
import { SEGMENT_HEADER_BYTES, type SegmentEntry } from './segment-index.ts'

export interface SegmentRingOptions {
  readonly disk: CacheDisk
  readonly folder: string
  readonly databaseId: string
  readonly sizeBytes: number
  readonly random: Random
}

/** The budget is cut into so many segments; one of them is always kept free for the next turn. */
const SEGMENTS = 8
const MAX_SEGMENT_BYTES = 1024 * 1024 * 1024

/** Every opening may add a small segment; beyond this the oldest go whatever their size. */
const MAX_SEGMENTS = 4 * SEGMENTS

/** Of a segment that goes, at most this part is copied forward. */
const SURVIVOR_SHARE = 0.4
const COPY_BATCH_BYTES = 256 * 1024

const SEGMENT_NAME = /^(\d{12})-[0-9a-f]{8}\.seg$/

/**
 * The segments of a cache as a ring: records are appended to the newest one, and the oldest goes as a whole to make room,
 * but for the blocks in it that were used since they were written, which are appended again. All files together are never
 * larger than the budget. One writer: `append` is not called while another call of it runs.
 */
export class SegmentRing {
  readonly locations: BlockLocations = new BlockLocations()
  readonly segmentBytes: number
  evictedBlocks = 0
  copiedBlocks = 0
  readonly #options: SegmentRingOptions
  readonly #slots: (CacheSegment | undefined)[] = []
  /** Oldest first; the active one is the last. */
  readonly #order: CacheSegment[] = []
  #active: CacheSegment | undefined
  #lastNumber = 0

  constructor(options: SegmentRingOptions) {
    this.#options = options
    this.segmentBytes = Math.min(Math.floor(options.sizeBytes / SEGMENTS), MAX_SEGMENT_BYTES)
  }

  /** Bytes of all files. */
  get sizeBytes(): number {
    return this.#order.reduce((sum, segment) => sum + segment.sizeBytes, 0)
  }

  /** Takes over what earlier processes left in the folder; what does not belong there goes. */
  async load(): Promise<void> {
    const { disk, folder, databaseId } = this.#options
    for (const name of (await disk.list(folder)).sort()) {
      const number = SEGMENT_NAME.exec(name)?.[1]
      if (number === undefined) continue
      this.#lastNumber = Math.max(this.#lastNumber, Number(number))
      const path = join(folder, name)
      const segment = await CacheSegment.open(disk, path, this.#freeSlot(), databaseId).catch(() => undefined)
      if (segment === undefined) {
        await disk.remove(path).catch(() => {})
        continue
      }
      this.#slots[segment.slot] = segment
      this.#order.push(segment)
    }
    // The budget may be smaller than it was.
    while (this.#mustDrop()) await this.#discard(this.#order[0] as CacheSegment)
    for (const segment of this.#order) {
      for (const { id, offset, position } of await segment.entries().catch(() => [])) {
        this.locations.put(id, offset, segment.slot, position)
      }
    }
  }

  /** Whether a record of this size can be kept at all: it must fit beside the survivors of a turn. */
  accepts({ id, bytes }: CacheRecord): boolean {
    return SEGMENT_HEADER_BYTES + recordSize(id, bytes.length) + INDEX_RESERVE_BYTES <= this.segmentBytes / 2
  }

  async append(records: readonly CacheRecord[]): Promise<void> {
    let batch: CacheRecord[] = []
    let batchBytes = 0
    for (const record of records) {
      if (!this.accepts(record)) continue
      if (this.#active?.hasRoomFor(record, batchBytes + batch.length * INDEX_RESERVE_BYTES, this.segmentBytes) !== true) {
        await this.#write(batch)
        batch = []
        batchBytes = 0
        // The turn may have used the room up for survivors.
        while (this.#active?.hasRoomFor(record, 0, this.segmentBytes) !== true) await this.#turn()
      }
      batch.push(record)
      batchBytes += recordSize(record.id, record.bytes.length)
    }
    await this.#write(batch)
  }

  /** The bytes, as a view; undefined when they are not there. Throws when the disk fails or holds something else. */
  async read(id: FileId, offset: number, length: number): Promise<Uint8Array | undefined> {
    const location = this.locations.find(id, offset)
    const segment = location && this.#slots[location.slot]
    if (location === undefined || segment === undefined) return undefined
    try {
      const bytes = await segment.read(location.position, { id, offset, length })
      if (bytes === undefined) throw new Error(`${segment.path} is damaged at ${location.position}`)
      this.locations.markUsed(id, offset)
      return bytes
    } catch (error) {
      // Gone with its segment while it was being read: no failure.
      if (this.#slots[location.slot] !== segment) return undefined
      this.locations.remove(id, offset, location.slot, location.position)
      throw error
    }
  }

  /** Closes all files; with `seal`, the active segment gets its index first. */
  async close(seal: boolean): Promise<void> {
    if (seal) await this.#active?.seal().catch(() => {})
    this.#active = undefined
    this.locations.clear()
    await Promise.all(this.#order.splice(0).map((segment) => segment.close().catch(() => {})))
    this.#slots.length = 0
  }

  async #write(batch: readonly CacheRecord[]): Promise<void> {
    const active = this.#active
    if (batch.length === 0 || active === undefined) return
    try {
      for (const { id, offset, position } of await active.append(batch)) {
        this.locations.put(id, offset, active.slot, position)
      }
    } catch (error) {
      active.giveUp()
      this.#active = undefined
      throw error
    }
  }

  /** Another segment becomes the active one, and the oldest goes if the turn after this one needs its room. */
  async #turn(): Promise<void> {
    const { disk, folder, databaseId, random } = this.#options
    const sealing = this.#active
    this.#active = undefined
    await sealing?.seal()
    // After failed writes there may be one segment more than a turn provides for.
    while (this.sizeBytes + this.segmentBytes > this.#options.sizeBytes) await this.#discard(this.#order[0] as CacheSegment)
    // The folder may have been deleted.
    await disk.makeFolder(folder)
    const name = `${String(++this.#lastNumber).padStart(12, '0')}-${randomHex(random, 4)}.seg`
    const next = await CacheSegment.create(disk, join(folder, name), this.#freeSlot(), databaseId)
    this.#slots[next.slot] = next
    this.#order.push(next)
    this.#active = next
    while (this.#mustDrop()) await this.#dropOldest()
  }

  /** Whether the segment after the active one would have no room, were that full. */
  #mustDrop(): boolean {
    const settled = this.#order.filter((segment) => segment !== this.#active)
    if (settled.length === 0) return false
    const bytes = settled.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return bytes + 2 * this.segmentBytes > this.#options.sizeBytes || this.#order.length > MAX_SEGMENTS
  }

  async #dropOldest(): Promise<void> {
    const oldest = this.#order[0] as CacheSegment
    const entries = await oldest.entries().catch(() => [])
    await this.#copyForward(oldest, entries)
    await this.#discard(oldest, entries)
  }

  async #copyForward(segment: CacheSegment, entries: readonly SegmentEntry[]): Promise<void> {
    let left = this.segmentBytes * SURVIVOR_SHARE
    let batch: CacheRecord[] = []
    let batchBytes = 0
    for (const { id, offset, length, position } of entries) {
      const location = this.locations.find(id, offset)
      if (location?.used !== true || location.slot !== segment.slot || location.position !== position) continue
      const size = recordSize(id, length)
      left -= size
      if (left < 0) break
      const bytes = await segment.read(position, { id, offset, length }).catch(() => undefined)
      if (bytes === undefined) continue
      batch.push({ id, offset, bytes })
      batchBytes += size
      this.copiedBlocks++
      if (batchBytes < COPY_BATCH_BYTES) continue
      await this.#writeFitting(batch)
      batch = []
      batchBytes = 0
    }
    await this.#writeFitting(batch)
  }

  async #writeFitting(batch: readonly CacheRecord[]): Promise<void> {
    let bytes = 0
    const fitting = batch.filter((record) => {
      const fits = this.#active?.hasRoomFor(record, bytes, this.segmentBytes) === true
      if (fits) bytes += recordSize(record.id, record.bytes.length) + INDEX_RESERVE_BYTES
      return fits
    })
    await this.#write(fitting)
  }

  async #discard(segment: CacheSegment, entries?: readonly SegmentEntry[]): Promise<void> {
    const at = this.#order.indexOf(segment)
    if (at >= 0) this.#order.splice(at, 1)
    this.#slots[segment.slot] = undefined
    let removed = 0
    for (const { id, offset, position } of entries ?? []) {
      if (this.locations.remove(id, offset, segment.slot, position)) removed++
    }
    // The slot is going to be used again; a damaged index may have left entries out.
    if (entries === undefined || entries.length === 0) removed += this.locations.sweep(segment.slot)
    this.evictedBlocks += removed
    await segment.close().catch(() => {})
    await this.#options.disk.remove(segment.path)
  }

  #freeSlot(): number {
    const free = this.#slots.indexOf(undefined)
    return free < 0 ? this.#slots.length : free
  }
}

/** What one more record adds to the index and the footer at most, with a new id. */
const INDEX_RESERVE_BYTES = 128
