import type { Engine } from '../recovery/engine.ts'
import type { GcStats } from '../gc/background-collector.ts'
import { levelBytes } from '../manifest/version.ts'
import type { TableStoreStats } from '../table/table-store.ts'
import type { WalStats } from '../wal/wal-stats.ts'
import type { RequestCounts } from '@moraine/object-store'

/** One level of the tree. */
export interface LevelStats {
  readonly level: number
  readonly files: number
  readonly sizeBytes: number
  readonly entries: number
  /** Keys and values before compression. */
  readonly rawBytes: number
}

/** A picture of a database at one moment. Sizes in bytes. */
export interface DbStats {
  readonly databaseId: string
  readonly epoch: number
  readonly manifestId: number
  /** Sequence number of the last write. */
  readonly lastSequence: number
  /** Everything up to this sequence number is in the store. */
  readonly flushedSequence: number
  /** Everything up to this sequence number survives the loss of this machine; reads with `durable` see so far. */
  readonly durableSequence: number
  readonly memtables: { readonly count: number; readonly sizeBytes: number; readonly entries: number }
  readonly levels: readonly LevelStats[]
  readonly files: number
  readonly sizeBytes: number
  readonly snapshots: number
  readonly writes: { readonly stalls: number; readonly held: number }
  readonly wal: WalStats
  readonly gc: GcStats
  readonly cache: TableStoreStats
  /** Requests made to the store since opening, by operation, and what they cost at list prices. */
  readonly store: RequestCounts
}

export function dbStats(engine: Engine): DbStats {
  const view = engine.views.current
  const manifest = engine.versions.current
  const memtables = [view.active, ...view.sealed]
  const levels = view.version.levels.map((files, level) => ({
    level,
    files: files.length,
    sizeBytes: levelBytes(files),
    entries: files.reduce((count, file) => count + file.entryCount, 0),
    rawBytes: files.reduce((bytes, file) => bytes + file.rawBytes, 0),
  }))
  return {
    databaseId: engine.databaseId,
    epoch: manifest.epoch,
    manifestId: manifest.id,
    lastSequence: engine.writes.lastSeq,
    flushedSequence: manifest.flushedSeq,
    durableSequence: engine.durableSeq,
    memtables: {
      count: memtables.length,
      sizeBytes: memtables.reduce((bytes, memtable) => bytes + memtable.memoryBytes, 0),
      entries: memtables.reduce((count, memtable) => count + memtable.entryCount, 0),
    },
    levels,
    files: levels.reduce((count, level) => count + level.files, 0),
    sizeBytes: levels.reduce((bytes, level) => bytes + level.sizeBytes, 0),
    snapshots: engine.snapshots.count,
    writes: { stalls: engine.writes.stallCount, held: engine.writes.heldWrites },
    wal: engine.walStats(),
    gc: engine.gc.stats(),
    cache: engine.tables.stats(),
    store: engine.store.snapshot(),
  }
}
