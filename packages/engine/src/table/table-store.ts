import { MoraineError, printableBytes } from '@moraine/base'
import type { ObjectStore, RequestAccount } from '@moraine/object-store'
import { type DataBlock, decodeBlock, parseSstTail, type SstMetadata } from '@moraine/sstable'
import { RangeTombstones } from '../key/range-tombstones.ts'
import { type FileId, sstName } from '../layout/object-names.ts'
import type { Origin } from '../manifest/origin.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { BlockCache } from './block-cache.ts'
import { newTableHandle, type TableHandle } from './table-handle.ts'

/** All that reading tables needs of a store. */
export type ReadableStore = Pick<ObjectStore, 'get'>

/** Who reads of tables are charged to, unless the reader says so itself. */
export interface TableReadAccounts {
  /** Blocks of point reads, and the metadata of tables that reads open. */
  readonly gets?: RequestAccount | undefined
  readonly scans?: RequestAccount | undefined
}

/** Counters of table reads. */
export interface TableStoreStats {
  readonly openTables: number
  readonly metadataBytes: number
  readonly blockCacheBytes: number
  readonly blockCacheBlocks: number
  readonly blockCacheEvictions: number
  /** Blocks fetched for point reads, one ranged GET each. */
  readonly blockLoads: number
  /** Tables opened, one ranged GET each. */
  readonly metadataLoads: number
}

/**
 * Tables of the store as decoded metadata and blocks. Everything that is read is verified before it is used: the tail
 * against the checksum in the manifest, blocks against their own checksum and their bounds in the index.
 */
export class TableStore {
  readonly #storeOf: (origin: Origin | undefined) => ReadableStore
  readonly #cache: BlockCache
  readonly #metadataBudgetBytes: number
  readonly #accounts: TableReadAccounts
  readonly #handles = new Map<FileId, TableHandle>()
  readonly #withMetadata = new Set<TableHandle>()
  #metadataBytes = 0
  #blockLoads = 0
  #metadataLoads = 0

  /** @param storeOf the store, at the prefix of its database, that the tables of an origin lie in */
  constructor(
    storeOf: (origin: Origin | undefined) => ReadableStore,
    options: { blockCacheSizeBytes: number; metadataCacheSizeBytes: number },
    accounts: TableReadAccounts = {},
  ) {
    this.#storeOf = storeOf
    this.#cache = new BlockCache(options.blockCacheSizeBytes)
    this.#metadataBudgetBytes = options.metadataCacheSizeBytes
    this.#accounts = accounts
  }

  /** The handle of a table; the same one until `forget`. */
  handle(file: TableFile): TableHandle {
    let handle = this.#handles.get(file.id)
    if (handle === undefined) {
      handle = newTableHandle(file)
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
    this.#shrinkMetadata(handle)
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

  /** The bytes of consecutive blocks in one ranged GET, undecoded: for scans. */
  async readBlocks(
    handle: TableHandle,
    metadata: SstMetadata,
    first: number,
    last: number,
    account: RequestAccount | undefined = this.#accounts.scans,
  ): Promise<Uint8Array> {
    const { index } = metadata
    const offset = index.blockOffset(first)
    const length = index.blockOffset(last) + index.blockLength(last) - offset
    return this.#read(handle.file, offset, length, account)
  }

  /** Decodes a block out of what `readBlocks` gave; keeps it in the cache when that pushes nothing out. */
  decode(handle: TableHandle, metadata: SstMetadata, ordinal: number, bytes: Uint8Array, mayEvict: boolean): DataBlock {
    const block = decodeBlock(bytes, metadata, ordinal, sstName(handle.file.id))
    if (mayEvict || this.#cache.hasRoomFor(block.memoryBytes)) this.#cache.insert(handle, ordinal, block)
    return block
  }

  /** Drops everything in memory of a table that left the database. */
  forget(id: FileId): void {
    const handle = this.#handles.get(id)
    if (handle === undefined) return
    this.#handles.delete(id)
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
    }
  }

  async #fetchMetadata(handle: TableHandle, account: RequestAccount | undefined): Promise<SstMetadata> {
    const { file } = handle
    const tail = await this.#read(file, file.tailOffset, file.sizeBytes - file.tailOffset, account)
    const metadata = parseSstTail(tail, {
      name: sstName(file.id),
      sizeBytes: file.sizeBytes,
      tailOffset: file.tailOffset,
      tailCrc32c: file.tailCrc32c,
    })
    if (metadata.enveloped !== (file.enveloped === true) || metadata.rangeTombstones.length !== (file.rangeTombstoneCount ?? 0)) {
      const name = sstName(file.id)
      throw new MoraineError('CORRUPTION', `${name} does not hold what the manifest says`, { detail: { file: name } })
    }
    this.#metadataLoads++
    if (this.#handles.get(file.id) === handle) this.adoptMetadata(handle, metadata)
    return metadata
  }

  async #fetchBlock(handle: TableHandle, metadata: SstMetadata, ordinal: number): Promise<DataBlock> {
    const { index } = metadata
    const bytes = await this.#read(handle.file, index.blockOffset(ordinal), index.blockLength(ordinal), this.#accounts.gets)
    const block = decodeBlock(bytes, metadata, ordinal, sstName(handle.file.id))
    this.#blockLoads++
    if (this.#handles.get(handle.file.id) === handle) this.#cache.insert(handle, ordinal, block)
    return block
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

  #shrinkMetadata(keep: TableHandle): void {
    // A clock over the open tables: one that was used since the last round is spared once.
    let spared = 0
    for (const handle of this.#withMetadata) {
      if (this.#metadataBytes <= this.#metadataBudgetBytes || spared > this.#withMetadata.size) return
      if (handle === keep) continue
      if (handle.metadataUsed) {
        handle.metadataUsed = false
        spared++
        this.#withMetadata.delete(handle)
        this.#withMetadata.add(handle)
      } else {
        this.#dropMetadata(handle)
      }
    }
  }

  #dropMetadata(handle: TableHandle): void {
    if (!this.#withMetadata.delete(handle)) return
    this.#metadataBytes -= (handle.metadata as SstMetadata).memoryBytes
    handle.metadata = undefined
    handle.tombstones = undefined
  }
}

function missingTable(file: TableFile): MoraineError {
  const name = sstName(file.id)
  return new MoraineError(
    'CORRUPTION',
    `${name} is missing from the store; it holds the newest flushed values of keys '${printableBytes(file.smallestKey, 64)}' to '${printableBytes(file.largestKey, 64)}'. Restore the object or an older checkpoint`,
    { detail: { file: name, entries: file.entryCount, missing: true } },
  )
}
