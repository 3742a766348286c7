import { isMoraineError, MoraineError, type Random } from '@moraine/base'
import type { FileId } from '../../layout/object-names.ts'
import { type CacheDisk, errnoOf, localCacheDisk } from './cache-disk.ts'
import { claimLane, type ClaimedLane } from './cache-folder.ts'
import type { CacheRecord } from './cache-record.ts'
import { SegmentRing } from './segment-ring.ts'

export interface DiskCacheSettings {
  readonly folder: string
  /** Of all files of this process in the folder, their indexes included. */
  readonly sizeBytes: number
}

/** Counters of a disk cache since it was opened. */
export interface DiskCacheStats {
  /** `read-only`: nothing is written any more, because writes kept failing; `off`: not even read. */
  readonly state: 'on' | 'read-only' | 'off'
  /** Bytes of its files, of this process. */
  readonly sizeBytes: number
  /** Blocks and table tails that can be found. */
  readonly blocks: number
  readonly hits: number
  readonly misses: number
  readonly writtenBlocks: number
  /** Bytes that wait to be written. */
  readonly queuedBytes: number
  /** Blocks that went with the oldest segment. */
  readonly evictedBlocks: number
  /** Blocks that had been used, so that they were written again when their segment went. */
  readonly copiedBlocks: number
  /** Blocks that were not written, because the disk was too slow or failed, or they were too large. */
  readonly droppedWrites: number
  /** Reads and writes that failed, and records that were not what they should be. */
  readonly failures: number
}

export interface DiskCacheOptions extends DiskCacheSettings {
  readonly random: Random
  /** Told once when the cache stops writing, and once when it turns itself off. */
  readonly onError: (error: MoraineError) => void
  readonly disk?: CacheDisk
}

/** What waits to be written; more than this means that the disk is slower than the store. */
const QUEUE_BYTES = 8 * 1024 * 1024
const BATCH_BYTES = 256 * 1024

/** In a row. */
const MAX_WRITE_FAILURES = 3
const MAX_READ_FAILURES = 8

/**
 * Blocks and tails of tables on the local disk, as they are in the store. It is a cache in every respect: nothing depends on
 * it, its folder may be deleted at any moment, and whatever is wrong with the disk, a read is at worst a miss. What it
 * gives out has been verified against its checksum and its identity; the caller verifies it once more as it verifies what
 * comes from the store, and says so when that fails ({@link DiskCache.reject}).
 */
export class DiskCache {
  readonly #options: DiskCacheOptions
  readonly #disk: CacheDisk
  #lane: ClaimedLane | undefined
  #ring: SegmentRing | undefined
  #state: 'new' | DiskCacheStats['state'] = 'new'
  #queue: CacheRecord[] = []
  /** What is in the queue or being written. */
  readonly #queued = new Set<string>()
  #queuedBytes = 0
  readonly #gone = new Set<FileId>()
  #draining: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #writeFailures = 0
  #readFailures = 0
  #hits = 0
  #misses = 0
  #writtenBlocks = 0
  #droppedWrites = 0
  #failures = 0

  constructor(options: DiskCacheOptions) {
    this.#options = options
    this.#disk = options.disk ?? localCacheDisk
  }

  /** INVALID when the folder belongs to another database. With any other problem the cache stays off. Idempotent. */
  async open(databaseId: string): Promise<void> {
    if (this.#state !== 'new') return
    const { folder, sizeBytes, random } = this.#options
    this.#state = 'off'
    try {
      this.#lane = await claimLane(this.#disk, folder, databaseId, random)
      const ring = new SegmentRing({ disk: this.#disk, folder: this.#lane.path, databaseId, sizeBytes, random })
      this.#ring = ring
      await ring.load()
      this.#state = 'on'
    } catch (error) {
      await this.close()
      if (isMoraineError(error, 'INVALID')) throw error
      this.#failures++
      this.#tell('the disk cache could not be opened, and is not used', error)
    }
  }

  /** Verified bytes, as a view; undefined when they are not here, without a promise when that is known at once. */
  read(id: FileId, offset: number, length: number): Promise<Uint8Array | undefined> | undefined {
    const ring = this.#ring
    if (ring === undefined) return undefined
    if (ring.locations.find(id, offset) === undefined) {
      this.#misses++
      return undefined
    }
    return this.#read(ring, id, offset, length)
  }

  /**
   * Takes bytes that came from the store, to be written by and by. They must not change. Drops them when too much is
   * waiting already.
   */
  offer(id: FileId, offset: number, bytes: Uint8Array): void {
    const ring = this.#ring
    if (ring === undefined || this.#state !== 'on' || ring.locations.find(id, offset) !== undefined) return
    const record = { id, offset, bytes }
    const key = keyOf(record)
    if (this.#queued.has(key)) return
    if (this.#queuedBytes + bytes.length > QUEUE_BYTES || !ring.accepts(record)) {
      this.#droppedWrites++
      return
    }
    // A small view would keep the whole download alive while it waits.
    const isWhole = bytes.buffer.byteLength === bytes.byteLength
    this.#queue.push(isWhole ? record : { ...record, bytes: new Uint8Array(bytes) })
    this.#queued.add(key)
    this.#queuedBytes += bytes.length
    this.#draining ??= this.#drain(ring).finally(() => {
      this.#draining = undefined
    })
  }

  /** These bytes were not what the table says they are: they are not given out again. */
  reject(id: FileId, offset: number): void {
    const location = this.#ring?.locations.find(id, offset)
    if (location !== undefined) this.#ring?.locations.remove(id, offset, location.slot, location.position)
    this.#readFailed(new Error('a cached block is not what its table says'))
  }

  /** The file left the database. */
  forget(id: FileId): void {
    this.#ring?.locations.forget(id)
    // What is being written at the moment must not come back.
    if (this.#draining !== undefined) this.#gone.add(id)
    const gone = this.#queue.filter((record) => record.id === id)
    if (gone.length === 0) return
    this.#queue = this.#queue.filter((record) => record.id !== id)
    this.#left(gone)
  }

  /** Forgets all files but these: what left the database while nobody was here to see it. */
  retain(ids: ReadonlySet<FileId>): void {
    this.#ring?.locations.retain(ids)
  }

  stats(): DiskCacheStats {
    const ring = this.#ring
    return {
      state: this.#state === 'new' ? 'off' : this.#state,
      sizeBytes: ring?.sizeBytes ?? 0,
      blocks: ring?.locations.count ?? 0,
      hits: this.#hits,
      misses: this.#misses,
      writtenBlocks: this.#writtenBlocks,
      queuedBytes: this.#queuedBytes,
      evictedBlocks: ring?.evictedBlocks ?? 0,
      copiedBlocks: ring?.copiedBlocks ?? 0,
      droppedWrites: this.#droppedWrites,
      failures: this.#failures,
    }
  }

  /** Resolves when everything that was offered so far is written or dropped. */
  async drained(): Promise<void> {
    await this.#draining
  }

  /** Writes what waits and gives the lane back. */
  async close(): Promise<void> {
    this.#closing ??= this.#closeRing()
    await this.#closing
    this.#state = 'off'
    const lane = this.#lane
    this.#lane = undefined
    await lane?.release().catch(() => {})
  }

  async #read(ring: SegmentRing, id: FileId, offset: number, length: number): Promise<Uint8Array | undefined> {
    try {
      const bytes = await ring.read(id, offset, length)
      if (bytes === undefined) {
        this.#misses++
      } else {
        this.#hits++
        this.#readFailures = 0
      }
      return bytes
    } catch (error) {
      this.#misses++
      this.#readFailed(error)
      return undefined
    }
  }

  async #drain(ring: SegmentRing): Promise<void> {
    while (this.#queue.length > 0 && this.#state === 'on') {
      const batch = this.#nextBatch()
      try {
        await ring.append(batch)
        this.#writtenBlocks += batch.length
        this.#writeFailures = 0
      } catch (error) {
        this.#droppedWrites += batch.length
        this.#writeFailed(error)
      }
      for (const id of this.#gone) ring.locations.forget(id)
      this.#gone.clear()
      // Only now, because they are in memory until here.
      this.#left(batch)
    }
    this.#droppedWrites += this.#queue.length
    this.#left(this.#queue)
    this.#queue = []
  }

  #left(records: readonly CacheRecord[]): void {
    for (const record of records) {
      this.#queuedBytes -= record.bytes.length
      this.#queued.delete(keyOf(record))
    }
  }

  #nextBatch(): CacheRecord[] {
    let count = 0
    let bytes = 0
    while (count < this.#queue.length && bytes < BATCH_BYTES) bytes += (this.#queue[count++] as CacheRecord).bytes.length
    return this.#queue.splice(0, count)
  }

  #writeFailed(error: unknown): void {
    this.#failures++
    if (++this.#writeFailures < MAX_WRITE_FAILURES || this.#state !== 'on') return
    this.#state = 'read-only'
    this.#tell('the disk cache could not be written repeatedly; it is only read until the database is opened anew', error)
  }

  #readFailed(error: unknown): void {
    this.#failures++
    if (++this.#readFailures < MAX_READ_FAILURES || this.#state === 'off') return
    this.#state = 'off'
    this.#closing = this.#closeRing()
    this.#tell('the disk cache could not be read repeatedly; it is off until the database is opened anew', error)
  }

  async #closeRing(): Promise<void> {
    const ring = this.#ring
    // From here on reads miss and offers are ignored.
    this.#ring = undefined
    await this.#draining
    await ring?.close(this.#state === 'on')
  }

  #tell(what: string, error: unknown): void {
    const { folder } = this.#options
    const text = error instanceof Error ? error.message : String(error)
    this.#options.onError(
      new MoraineError('UNAVAILABLE', `${what} (${text}). The database works without it; look at ${folder}`, {
        detail: { folder, errno: errnoOf(error) },
        cause: error,
      }),
    )
  }
}

function keyOf({ id, offset }: CacheRecord): string {
  return `${id} ${offset}`
}
