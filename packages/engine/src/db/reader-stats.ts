import type { RequestCounts } from '@moraine/object-store'
import { countFiles, filesOf } from '../manifest/version.ts'
import type { ReaderEngine } from '../recovery/reader-engine.ts'
import type { TableStoreStats } from '../table/table-store.ts'
import { type KeyspaceStats, keyspaceStats } from './keyspace-stats.ts'
import { type CostStats, costStats } from './cost-stats.ts'
import { type MemoryStats, memoryStats } from './memory-stats.ts'

/** A picture of a reader at one moment. Sizes in bytes. */
export interface ReaderStats {
  readonly databaseId: string
  /** The manifest being read, and the epoch of the writer that committed it. */
  readonly manifestId: number
  readonly epoch: number
  /** Id of the checkpoint; undefined for a reader that follows. */
  readonly checkpoint: string | undefined
  /** Sequence number of the last write that can be read. */
  readonly lastSequence: number
  readonly files: number
  readonly sizeBytes: number
  readonly keyspaces: readonly KeyspaceStats[]
  /** What came from the log in the store, above the manifest. */
  readonly memtables: { readonly count: number; readonly sizeBytes: number; readonly entries: number }
  readonly snapshots: number
  /** Pins held in the store: one, and one for every older view that a scan or a snapshot still reads. */
  readonly pins: number
  /** Memory in use, by what it is for. */
  readonly memory: MemoryStats
  readonly cache: TableStoreStats
  /** Requests made to the store since opening, by operation. */
  readonly store: RequestCounts
  /** The same requests by what they were for, in dollars. A reader writes nothing but its leases. */
  readonly cost: CostStats
}

export function readerStats(engine: ReaderEngine): ReaderStats {
  const { manifest, checkpoint } = engine
  const { active, sealed, version } = engine.views.current
  const memtables = [active, ...sealed].filter((memtable) => !memtable.isEmpty)
  let sizeBytes = 0
  for (const file of filesOf(version)) sizeBytes += file.sizeBytes
  return {
    databaseId: manifest.databaseId,
    manifestId: manifest.id,
    epoch: manifest.epoch,
    checkpoint: checkpoint?.id,
    lastSequence: engine.lastSeq,
    files: countFiles(version),
    sizeBytes,
    keyspaces: keyspaceStats(version, engine.keyspaces.records),
    memtables: {
      count: memtables.length,
      sizeBytes: memtables.reduce((bytes, memtable) => bytes + memtable.memoryBytes, 0),
      entries: memtables.reduce((count, memtable) => count + memtable.entryCount, 0),
    },
    snapshots: engine.snapshots,
    pins: engine.pins,
    memory: memoryStats(engine.memory),
    cache: engine.tables.stats(),
    store: engine.store.snapshot(),
    cost: costStats(engine.store, engine.costs, { liveBytes: sizeBytes, heldBytes: 0, puts: 0, gets: engine.reads.lookups }),
  }
}
