import type { Engine } from '../recovery/engine.ts'
import { type CostStats, costStats } from './cost-stats.ts'
import { sortedRuns, spaceAmplification } from '../compaction/compaction-totals.ts'
import type { CompactionReason } from '../compaction/compaction-plan.ts'
import type { GcStats } from '../gc/background-collector.ts'
import { type KeyspaceStats, keyspaceStats } from './keyspace-stats.ts'
import { blobFilesOf } from '../manifest/blob-files.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { originKey, type OriginPlace } from '../manifest/origin.ts'
import { filesOf, levelBytes } from '../manifest/version.ts'
import type { TableStoreStats } from '../table/table-store.ts'
import type { WalStats } from '../wal/wal-stats.ts'
import type { StallStats } from '../write/stalls.ts'
import { type MemoryStats, memoryStats } from './memory-stats.ts'
import type { RequestCounts } from '@moraine/object-store'

/** One level of the tree. */
export interface LevelStats {
  readonly level: number
  readonly files: number
  readonly sizeBytes: number
  readonly entries: number
  /** Deletes and range deletes among the entries. */
  readonly deletions: number
  /** Keys and values before compression. */
  readonly rawBytes: number
  /** How full the level is for the compaction style in use; 1 and above asks for a compaction. */
  readonly score: number
  /** Since opening, in bytes of tables: read out of the level by compactions, written into it by flushes and compactions. */
  readonly compactedFromBytes: number
  readonly writtenBytes: number
  /** Since opening: bytes that came into the level by a change of the manifest alone. */
  readonly movedBytes: number
}

/** What compaction has done since opening, and the shape it left. Sizes in bytes of tables. */
export interface CompactionStats {
  readonly style: 'leveled' | 'tiered'
  readonly compactions: number
  /** Compactions that only changed the level of tables. */
  readonly trivialMoves: number
  readonly flushedBytes: number
  readonly readBytes: number
  readonly writtenBytes: number
  /** Bytes written by flushes and compactions for each byte flushed; 1 before the first flush. */
  readonly writeAmplification: number
  /** All bytes over those of the oldest sorted run: an upper bound while writes mostly replace keys that exist. */
  readonly spaceAmplification: number
  /** Tables of level 0 and non-empty levels: the places a read without filters looks into. */
  readonly sortedRuns: number
  /** Why the compaction that runs now was chosen; undefined when none runs. */
  readonly running: CompactionReason | undefined
  readonly remote: RemoteCompactionStats
}

/** Compactions that were offered to remote compactors since opening. */
export interface RemoteCompactionStats {
  /** The one that is out at the moment. */
  readonly openJob: string | undefined
  readonly offered: number
  /** Their results are in the database. */
  readonly committed: number
  readonly takenBack: number
}

/** What is borrowed from one database; sizes are of whole files. */
export interface BorrowedStats {
  readonly databaseId: string
  readonly place: OriginPlace
  readonly files: number
  readonly sizeBytes: number
}

/** Transactions since opening. */
export interface TransactionStats {
  /** Begun, and neither committed nor rolled back yet. */
  readonly open: number
  readonly committed: number
  /** Commits that ended with CONFLICT. */
  readonly conflicts: number
  /** Memory for recent writes that open ones may conflict with, roughly. */
  readonly windowBytes: number
}

/** Large values that lie outside of tables. */
export interface BlobStats {
  readonly files: number
  readonly sizeBytes: number
  /** What tables still refer to; a cut table counts with all that it ever referred to. */
  readonly liveBytes: number
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
  readonly keyspaces: readonly KeyspaceStats[]
  readonly compaction: CompactionStats
  /** Tables. */
  readonly files: number
  readonly sizeBytes: number
  readonly blobs: BlobStats
  /** What a clone still borrows, by the database it borrows from; also those that only await their release. */
  readonly borrowed: readonly BorrowedStats[]
  readonly snapshots: number
  /** Checkpoints listed and not expired. */
  readonly checkpoints: number
  /** Stalls since opening, and the writes that are held back now. */
  readonly writes: StallStats & { readonly held: number }
  /** Memory in use, by what it is for. */
  readonly memory: MemoryStats
  readonly transactions: TransactionStats
  readonly wal: WalStats
  readonly gc: GcStats
  readonly cache: TableStoreStats
  /** Requests made to the store since opening, by operation, with latencies. */
  readonly store: RequestCounts
  /** The same requests by what they were for, in dollars; and what the storage costs. */
  readonly cost: CostStats
}

export function dbStats(engine: Engine): DbStats {
  const view = engine.views.current
  const manifest = engine.versions.current
  const memtables = [view.active, ...view.sealed]
  const { compactor } = engine
  const { totals } = compactor
  const gc = engine.gc.stats()
  const scores = compactor.scores()
  const levels = view.version.levels.map((files, level) => ({
    level,
    files: files.length,
    sizeBytes: levelBytes(files),
    entries: files.reduce((count, file) => count + file.entryCount, 0),
    deletions: files.reduce((count, file) => count + file.deletionCount, 0),
    rawBytes: files.reduce((bytes, file) => bytes + file.rawBytes, 0),
    score: scores[level] ?? 0,
    compactedFromBytes: totals.levels[level]?.readBytes ?? 0,
    writtenBytes: totals.levels[level]?.writtenBytes ?? 0,
    movedBytes: totals.levels[level]?.movedBytes ?? 0,
  }))
  const sizeBytes = levels.reduce((bytes, level) => bytes + level.sizeBytes, 0)
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
    keyspaces: keyspaceStats(view.version, engine.keyspaces.records),
    compaction: {
      style: engine.settings.compactionStyle,
      compactions: totals.compactions,
      trivialMoves: totals.trivialMoves,
      flushedBytes: totals.flushedBytes,
      readBytes: totals.readBytes,
      writtenBytes: totals.writtenBytes,
      writeAmplification: totals.writeAmplification,
      spaceAmplification: spaceAmplification(view.version),
      sortedRuns: sortedRuns(view.version),
      running: compactor.running?.reason,
      remote: compactor.remoteStats(),
    },
    files: levels.reduce((count, level) => count + level.files, 0),
    sizeBytes,
    blobs: blobStats(manifest),
    borrowed: borrowedStats(manifest),
    snapshots: engine.snapshots.count,
    checkpoints: engine.checkpoints.list().length,
    writes: { ...engine.writes.stallStats(), held: engine.writes.heldWrites },
    memory: memoryStats(engine.memory),
    transactions: { ...engine.writes.transactions, windowBytes: engine.writes.conflicts.sizeBytes },
    wal: engine.walStats(),
    gc,
    cache: engine.tables.stats(),
    store: engine.store.snapshot(),
    cost: costStats(engine.store, engine.costs, {
      liveBytes: sizeBytes,
      heldBytes: gc.keptBytes,
      puts: engine.costs.puts + engine.operations().puts,
      gets: engine.costs.gets + engine.operations().gets,
    }),
  }
}

function blobStats({ version }: Manifest): BlobStats {
  const stats = { files: 0, sizeBytes: 0, liveBytes: 0 }
  for (const { sizeBytes, liveBytes } of blobFilesOf(version).values()) {
    stats.files++
    stats.sizeBytes += sizeBytes
    stats.liveBytes += Math.min(liveBytes, sizeBytes)
  }
  return stats
}

function borrowedStats({ origins, version }: Manifest): BorrowedStats[] {
  const stats = new Map<string, { databaseId: string; place: OriginPlace; files: number; sizeBytes: number }>()
  for (const { origin } of origins) stats.set(originKey(origin), { ...origin, files: 0, sizeBytes: 0 })
  if (stats.size === 0) return []
  for (const { origin, sizeBytes } of [...filesOf(version), ...blobFilesOf(version).values()]) {
    const entry = origin === undefined ? undefined : stats.get(originKey(origin))
    if (entry === undefined) continue
    entry.files++
    entry.sizeBytes += sizeBytes
  }
  return [...stats.values()]
}
