import { concatBytes, type MemoryAccount, type MemoryHold, MoraineError, printableBytes } from '@moraine/base'
import type { ObjectStore, RequestAccount } from '@moraine/object-store'
import { type DataBlock, decodeBlock, parseSstTail, type SstMetadata } from '@moraine/sstable'
import { RangeTombstones } from '../key/range-tombstones.ts'
import { BlobStore, type BlobStoreStats } from '../blob/blob-store.ts'
import { type FileId, sstName } from '../layout/object-names.ts'
import type { Origin } from '../manifest/origin.ts'
import { endsBefore, startsAfter, type TableFile } from '../manifest/table-file.ts'
import { BlockCache } from './block-cache.ts'
import type { DiskCache, DiskCacheStats } from './disk-cache/disk-cache.ts'
import { newTableHandle, type TableHandle } from './table-handle.ts'
import { type FreshTable, type Pause, WarmUp } from './warm-up.ts'

/** All that reading tables needs of a store. */
export type ReadableStore = Pick<ObjectStore, 'get'>

/** Who reads of tables are charged to, unless the reader says so itself. */
export interface TableReadAccounts {
  /** Blocks of point reads, and the metadata of tables that reads open. */
  readonly gets?: RequestAccount | undefined
  readonly scans?: RequestAccount | undefined
}

/** Counters of table reads. */
export interface TableStoreStats extends BlobStoreStats {
  readonly openTables: number
  readonly metadataBytes: number
  readonly blockCacheBytes: number
  readonly blockCacheBlocks: number
  readonly blockCacheEvictions: number
  /** Blocks fetched for point reads, one ranged GET each. */
  readonly blockLoads: number
  /** Tables opened, one ranged GET each. */
  readonly metadataLoads: number
  /** Blocks of new tables that took the place of hot ones after a compaction, without a request. */
  readonly warmedBlocks: number
  readonly warmedBytes: number
  /** Undefined without the option `diskCache`. */
  readonly disk: DiskCacheStats | undefined
}

/**
 * Tables of the store as decoded metadata and blocks. Everything that is read is verified before it is used: the tail
 * against the checksum in the manifest, blocks against their own checksum and their bounds in the index.
 */
export class TableStore {
  /** The values that tables refer to. */
  readonly blobs: BlobStore
  readonly #storeOf: (origin: Origin | undefined) => ReadableStore
  readonly #cache: BlockCache
  readonly #metadataBudgetBytes: number
  readonly #accounts: TableReadAccounts
  readonly #memory: MemoryAccount | undefined
  readonly #handles = new Map<FileId, TableHandle>()
  readonly #withMetadata = new Set<TableHandle>()
  #metadataBytes = 0
  #blockLoads = 0
  #metadataLoads = 0
  readonly #warmUp: WarmUp
  readonly #disk: DiskCache | undefined

  /**
   * @param storeOf the store, at the prefix of its database, that the tables of an origin lie in
   * @param disk asked before the store for what is read by point reads and short scans
   * @param options.memory what the caches and the scans are charged to; undefined: nothing
   */
  constructor(
    storeOf: (origin: Origin | undefined) => ReadableStore,
    options: { blockCacheSizeBytes: number; metadataCacheSizeBytes: number; memory?: MemoryAccount | undefined },
    accounts: TableReadAccounts = {},
    disk?: DiskCache,
  ) {
    const { memory } = options
    this.#storeOf = storeOf
    this.#disk = disk
    this.#cache = new BlockCache(options.blockCacheSizeBytes, memory)
    this.#warmUp = new WarmUp(this.#cache, memory)
    this.blobs = new BlobStore(storeOf, this.#cache, accounts)
    this.#metadataBudgetBytes = options.metadataCacheSizeBytes
    this.#accounts = accounts
    this.#memory = memory
    memory?.addCache({ size: () => this.#metadataBytes, giveWay: (bytes) => this.#shrinkMetadata(this.#metadataBytes - bytes) })
  }

  /** The handle of a table; the same one until `forget`. */
  handle(file: TableFile): TableHandle {
    let handle = this.#handles.get(file.id)
    if (handle === undefined) {
      handle = newTableHandle(file)
      if (file.blobs !== undefined) this.blobs.retain(file.blobs)
      this.#handles.set(file.id, handle)
    }
    return handle
  }

  /** Index, filter and properties of a table; one ranged GET when they are not in memory. */
  loadMetadata(handle: TableHandle, account: RequestAccount | undefined = this.#accounts.gets): Promise<SstMetadata> {
    if (handle.metadata !== undefined) {
      handle.metadataUsed = true
      return Promise.resolve(handle.metadata)
    }
    handle.metadataLoad ??= this.#fetchMetadata(handle, account).finally(() => {
      handle.metadataLoad = undefined
    })
    return handle.metadataLoad
  }

  /** The range tombstones of a table, of the whole table. */
  rangeTombstones(handle: TableHandle, metadata: SstMetadata): RangeTombstones {
    handle.tombstones ??= RangeTombstones.of(metadata.rangeTombstones)
    return handle.tombstones
  }

  /** Gives the store metadata that the writer of a table already has, so that reading it back costs nothing. */
  adoptMetadata(handle: TableHandle, metadata: SstMetadata): void {
    if (handle.metadata !== undefined) return
    handle.metadata = metadata
    handle.metadataUsed = true
    this.#withMetadata.add(handle)
    this.#metadataBytes += metadata.memoryBytes
    this.#shrinkMetadata(this.#metadataBudgetBytes, handle)
    this.#memory?.charge('metadataCache', metadata.memoryBytes)
  }

  /** One block, through the cache; concurrent callers share one GET. */
  loadBlock(handle: TableHandle, metadata: SstMetadata, ordinal: number): Promise<DataBlock> {
    const cached = handle.blocks[ordinal]
    if (cached !== undefined) {
      cached.used = true
      return Promise.resolve(cached.block)
    }
    const loading = handle.blockLoads.get(ordinal) as Promise<DataBlock> | undefined
    if (loading !== undefined) return loading
    const load = this.#fetchBlock(handle, metadata, ordinal).finally(() => handle.blockLoads.delete(ordinal))
    handle.blockLoads.set(ordinal, load)
    return load
  }

  /**
   * The bytes of consecutive blocks, undecoded, for scans: in one ranged GET. What a short scan reads may come from the
   * disk, when all of it is there.
   */
  async readBlocks(
    handle: TableHandle,
    metadata: SstMetadata,
    first: number,
    last: number,
    short: boolean,
    account: RequestAccount | undefined = this.#accounts.scans,
  ): Promise<Uint8Array> {
    const { index } = metadata
    const kept = short && this.#disk !== undefined ? await this.#blocksOnDisk(this.#disk, handle, metadata, first, last) : undefined
    if (kept !== undefined) return kept
    const offset = index.blockOffset(first)
    const length = index.blockOffset(last) + index.blockLength(last) - offset
    return this.#read(handle.file, offset, length, account)
  }

  /** How far a scan may read ahead that wants to read `wantedBytes`. */
  readAheadBytes(wantedBytes: number): number {
    return this.#memory?.readAheadBytes(wantedBytes) ?? wantedBytes
  }

  /** Charges the window of a scan, until it is released. */
  holdReadAhead(bytes: number): MemoryHold | undefined {
    return this.#memory?.hold('readAhead', bytes)
  }

  /**
   * Decodes a block out of what `readBlocks` gave. What a short scan reads is kept; what a long one reads only when that
   * pushes nothing out.
   */
  decode(handle: TableHandle, metadata: SstMetadata, ordinal: number, bytes: Uint8Array, short: boolean): DataBlock {
    const { id } = handle.file
    const block = decodeBlock(bytes, metadata, ordinal, sstName(id))
    if (short) this.#disk?.offer(id, metadata.index.blockOffset(ordinal), bytes)
    if (short || this.#cache.hasRoomFor(block.memoryBytes)) this.#cache.insert(handle, ordinal, block, true)
    return block
  }

  /** A table was written here: its tail is kept on the disk, and blocks that take the place of hot ones are made ready. */
  async prepare(
    handle: TableHandle,
    metadata: SstMetadata,
    table: FreshTable,
    replaced: readonly TableFile[],
    pause: Pause,
  ): Promise<void> {
    const { file } = handle
    this.#disk?.offer(file.id, file.tailOffset, table.tail)
    const { smallestKey, largestKey } = file
    const hot = replaced
      .filter((other) => !endsBefore(other, smallestKey, 0, smallestKey.length) && !startsAfter(other, largestKey, 0, largestKey.length))
      .flatMap(({ id }) => this.#warmUp.hotBlocks(this.#handles.get(id)))
    const keep = (offset: number, bytes: Uint8Array): void => this.#disk?.offer(file.id, offset, bytes)
    // The table is uploaded, and that is what counts: when this was cut short, its first reads are cold.
    await this.#warmUp.prepare(handle, metadata, { ...table, hot }, pause, keep).catch(() => {})
  }

  /** These tables enter the version, and what they replace leaves it: hot blocks change places. Call it in that moment. */
  warm(files: readonly TableFile[]): void {
    this.#warmUp.settle(files)
  }

  /** What was made ready for these tables and is not in use yet will not be needed. */
  dropPrepared(files: readonly TableFile[]): void {
    this.#warmUp.drop(files)
  }

  /** Forgets what is on the disk of tables that left the database while nobody was here. */
  retainOnDisk(ids: ReadonlySet<FileId>): void {
    this.#disk?.retain(ids)
  }

  /** Writes what the disk cache still has to write, and closes it. */
  async close(): Promise<void> {
    await this.#disk?.close()
  }

  /** Drops everything in memory, and on the disk, of a table that left the database. */
  forget(id: FileId): void {
    this.#disk?.forget(id)
    const handle = this.#handles.get(id)
    if (handle === undefined) return
    this.#handles.delete(id)
    if (handle.file.blobs !== undefined) this.blobs.release(handle.file.blobs)
    this.#cache.drop(handle)
    this.#dropMetadata(handle)
  }

  stats(): TableStoreStats {
    return {
      openTables: this.#withMetadata.size,
      metadataBytes: this.#metadataBytes,
      blockCacheBytes: this.#cache.sizeBytes,
      blockCacheBlocks: this.#cache.blockCount,
      blockCacheEvictions: this.#cache.evictions,
      blockLoads: this.#blockLoads,
      metadataLoads: this.#metadataLoads,
      warmedBlocks: this.#warmUp.blocks,
      warmedBytes: this.#warmUp.bytes,
      disk: this.#disk?.stats(),
      ...this.blobs.stats(),
    }
  }

  async #fetchMetadata(handle: TableHandle, account: RequestAccount | undefined): Promise<SstMetadata> {
    const { file } = handle
    const { value: metadata, fromStore } = await this.#fetch(
      handle,
      file.tailOffset,
      file.sizeBytes - file.tailOffset,
      account,
      (tail) => metadataOf(tail, file),
    )
    if (fromStore) this.#metadataLoads++
    if (this.#handles.get(file.id) === handle) this.adoptMetadata(handle, metadata)
    return metadata
  }

  async #fetchBlock(handle: TableHandle, metadata: SstMetadata, ordinal: number): Promise<DataBlock> {
    const { index } = metadata
    const name = sstName(handle.file.id)
    const { value: block, fromStore } = await this.#fetch(
      handle,
      index.blockOffset(ordinal),
      index.blockLength(ordinal),
      this.#accounts.gets,
      (bytes) => decodeBlock(bytes, metadata, ordinal, name),
    )
    if (fromStore) this.#blockLoads++
    if (this.#handles.get(handle.file.id) === handle) this.#cache.insert(handle, ordinal, block)
    return block
  }

  /** Bytes decoded, from the disk or else from the store, which then goes to the disk. */
  async #fetch<Value>(
    handle: TableHandle,
    offset: number,
    length: number,
    account: RequestAccount | undefined,
    decode: (bytes: Uint8Array) => Value,
  ): Promise<{ readonly value: Value; readonly fromStore: boolean }> {
    const { file } = handle
    const kept = this.#disk?.read(file.id, offset, length)
    const bytes = kept && (await kept)
    if (bytes !== undefined) {
      try {
        return { value: decode(bytes), fromStore: false }
      } catch {
        // Whatever is wrong with it, the store has the truth.
        this.#disk?.reject(file.id, offset)
      }
    }
    const fetched = await this.#read(file, offset, length, account)
    const value = decode(fetched)
    if (this.#handles.get(file.id) === handle) this.#disk?.offer(file.id, offset, fetched)
    return { value, fromStore: true }
  }

  async #blocksOnDisk(
    disk: DiskCache,
    { file: { id } }: TableHandle,
    metadata: SstMetadata,
    first: number,
    last: number,
  ): Promise<Uint8Array | undefined> {
    const pieces: Uint8Array[] = []
    for (let ordinal = first; ordinal <= last; ordinal++) {
      const offset = metadata.index.blockOffset(ordinal)
      const bytes = await disk.read(id, offset, metadata.index.blockLength(ordinal))
      if (bytes === undefined) return undefined
      try {
        decodeBlock(bytes, metadata, ordinal, sstName(id))
      } catch {
        disk.reject(id, offset)
        return undefined
      }
      pieces.push(bytes)
    }
    return concatBytes(pieces)
  }

  async #read(file: TableFile, offset: number, length: number, account: RequestAccount | undefined): Promise<Uint8Array> {
    const name = sstName(file.id)
    const body = await this.#storeOf(file.origin).get(name, { range: { offset, length }, account })
    if (body === undefined) throw missingTable(file)
    if (body.objectSizeBytes !== file.sizeBytes || body.bytes.length !== length) {
      throw new MoraineError(
        'CORRUPTION',
        `${name} has ${body.objectSizeBytes} bytes, but the manifest says ${file.sizeBytes}: it is not the file that was written`,
        { detail: { file: name } },
      )
    }
    return body.bytes
  }

  #shrinkMetadata(targetBytes: number, keep?: TableHandle): void {
    // A clock over the open tables: one that was used since the last round is spared once.
    for (const handle of this.#withMetadata) {
      if (this.#metadataBytes <= targetBytes) return
      if (handle === keep) continue
      if (handle.metadataUsed) {
        handle.metadataUsed = false
        this.#withMetadata.delete(handle)
        this.#withMetadata.add(handle)
      } else {
        this.#dropMetadata(handle)
      }
    }
  }

  #dropMetadata(handle: TableHandle): void {
    if (!this.#withMetadata.delete(handle)) return
    const { memoryBytes } = handle.metadata as SstMetadata
    this.#metadataBytes -= memoryBytes
    handle.metadata = undefined
    handle.tombstones = undefined
    this.#memory?.charge('metadataCache', -memoryBytes)
  }
}

function metadataOf(tail: Uint8Array, file: TableFile): SstMetadata {
  const name = sstName(file.id)
  const { sizeBytes, tailOffset, tailCrc32c } = file
  const metadata = parseSstTail(tail, { name, sizeBytes, tailOffset, tailCrc32c })
  if (metadata.enveloped !== (file.enveloped === true) || metadata.rangeTombstones.length !== (file.rangeTombstoneCount ?? 0)) {
    throw new MoraineError('CORRUPTION', `${name} does not hold what the manifest says`, { detail: { file: name } })
  }
  return metadata
}

function missingTable(file: TableFile): MoraineError {
  const name = sstName(file.id)
  return new MoraineError(
    'CORRUPTION',
    `${name} is missing from the store; it holds the newest flushed values of keys '${printableBytes(file.smallestKey, 64)}' to '${printableBytes(file.largestKey, 64)}'. Restore the object or an older checkpoint`,
    { detail: { file: name, entries: file.entryCount, missing: true } },
  )
}
