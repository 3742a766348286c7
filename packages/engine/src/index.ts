export {
  type CallLimits,
  isMoraineError,
  MemoryBudget,
  type MemoryBudgetStats,
  type MemoryUse,
  MoraineError,
  type MoraineErrorCode,
  type MoraineErrorDetail,
} from '@moraine/base'
export {
  FileObjectStore,
  type FileObjectStoreOptions,
  MemoryObjectStore,
  type MemoryObjectStoreOptions,
  type ObjectStore,
  PRICE_TABLES,
  type PriceTable,
  type PriceTableName,
  type RequestCost,
  type RequestsByClass,
  type RequestTally,
  S3ObjectStore,
  type S3ObjectStoreOptions,
} from '@moraine/object-store'
export type { Compression } from '@moraine/sstable'
export type { Bytes } from './batch/limits.ts'
export type { UserRange } from './batch/user-range.ts'
export { type BatchDeleteOptions, type BatchPutOptions, WriteBatch } from './batch/write-batch.ts'
export type { KeyspaceReference } from './key/keyspace.ts'
export type { MergeOperator } from './merge/merge-operator.ts'
export { append } from './merge/operators/append.ts'
export { counter, counterBytes, counterValue } from './merge/operators/counter.ts'
export { jsonPatch } from './merge/operators/json-patch.ts'
export type { CheckpointReport } from './checkpoint/checkpoints.ts'
export type { FileTotals, VersionDiff } from './checkpoint/diff-versions.ts'
export type { CompactionReason } from './compaction/compaction-plan.ts'
export type { CompactionReport } from './compaction/compactor.ts'
export type { RemoteCompactionReport, TakeBackReason } from './compaction/remote/remote-offers.ts'
export type { Checkpoint, CheckpointOptions, JsonValue } from './db/checkpoint-options.ts'
export type { CloneReport } from './checkpoint/clone.ts'
export { clone, type CloneOptions, type CloneSourceOptions, type CloneSourceSpec } from './db/clone.ts'
export { collectGarbage, type CollectGarbageOptions, type CollectGarbageResult } from './db/collect-garbage.ts'
export { Db } from './db/db.ts'
export { Keyspace, KeyspaceReader } from './db/keyspace.ts'
export type { KeyspaceStats } from './db/keyspace-stats.ts'
export type { KeyspaceOptions } from './db/keyspace-options.ts'
export { ReadCalls } from './db/read-calls.ts'
export { WriteCalls } from './db/write-calls.ts'
export type { CostStats, StorageCost } from './db/cost-stats.ts'
export type { CompactionOption, LeveledCompactionOption, TieredCompactionOption } from './db/compaction-option.ts'
export type { BlobStats, BorrowedStats, CompactionStats, DbStats, LevelStats, RemoteCompactionStats, TransactionStats } from './db/db-stats.ts'
export type { RemoteCompactionOption } from './db/remote-compaction-option.ts'
export type { DiskCacheOption } from './db/disk-cache-option.ts'
export { destroy, type DestroyOptions } from './db/destroy.ts'
export { DbReader } from './db/db-reader.ts'
export { type Location, open } from './db/open.ts'
export { openReader, type OpenReaderOptions } from './db/open-reader.ts'
export type { MemoryBudgetOption } from './db/memory-option.ts'
export type { MemoryStats } from './db/memory-stats.ts'
export type { ReaderStats } from './db/reader-stats.ts'
export type { LocalWalOption, OpenOptions, StoreWalOption, WalOption } from './db/open-options.ts'
export type { ReadOptions, ResidentResult, VersionedValue } from './db/reads.ts'
export type { TransactOptions } from './db/run-transaction.ts'
export type { ScanOptions } from './db/scan-options.ts'
export { verify, type VerifyOptions } from './db/verify.ts'
export type { BatchStream, EntryStream } from './db/scan-stream.ts'
export { Snapshot } from './db/snapshot.ts'
export {
  type IsolationLevel,
  Transaction,
  type TransactionDeleteOptions,
  type TransactionOptions,
  type TransactionPutOptions,
  type TransactionReadOptions,
  type TransactionScanOptions,
  type TransactionState,
} from './db/transaction.ts'
export type { TransactionStream } from './db/transaction-stream.ts'
export type { DeleteOptions, PutOptions, WriteOptions } from './db/write-options.ts'
export type { CollectedReport, GcStats } from './gc/background-collector.ts'
export type { CollectionReport } from './gc/collection-report.ts'
export type { DestroyReport } from './gc/destroy-database.ts'
export type { CollectionPlan, DataObject, LeftUpload, LogObject } from './gc/reachability.ts'
export type { VerifiedState, VerifyReport } from './gc/verify-database.ts'
export type { VerifyProblem } from './gc/verify-problem.ts'
export type { FlushReport } from './flush/flusher.ts'
export type { Entry } from './read/scan-cursor.ts'
export type { RequestPurpose } from './recovery/cost-book.ts'
export type { EngineEvents } from './recovery/engine-event.ts'
export type { ReaderEvents } from './recovery/reader-event.ts'
export type { WalStats } from './wal/wal-stats.ts'
export type { DiskCacheStats } from './table/disk-cache/disk-cache.ts'
export type { CompactionFilter, CompactionFilterContext, CompactionVerdict } from './table/compaction-filter.ts'
export type { Resume, Stall, StallReason, StallStats } from './write/stalls.ts'
export type { Durability } from './write/write-path.ts'
