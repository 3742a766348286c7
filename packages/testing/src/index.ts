export type { ConformanceCase } from './object-store-suite/conformance-case.ts'
export { type ConformanceTarget, objectStoreConformance } from './object-store-suite/object-store-conformance.ts'
export { ensureBucket } from './s3-server/ensure-bucket.ts'
export { freePorts } from './s3-server/free-ports.ts'
export { DEFAULT_BUCKET, type S3ServerKind, s3TestServer, type S3TestServer } from './s3-server/s3-test-server.ts'
export { missingServerLine, type S3ServerSource, type S3ServerWish, serverSources } from './s3-server/server-choice.ts'
export { type RunningS3Server, startS3Server } from './s3-server/start-s3-server.ts'
export { driveModel, type DriveOptions, type ModelSemantics, type ModelSubject } from './model/drive-model.ts'
export { ModelDatabase, type ModelBounds, type ModelEntry, type ModelKeyspace, type ModelMoment, scanState } from './model/model-database.ts'
export type { ModelOperation, PointOperation, RangeDelete } from './model/model-operation.ts'
export { ModelMismatch } from './model/model-reads.ts'
export { writeAsBatch } from './model/write-operations.ts'
export { driveTransactions, type DriveTransactionsOptions } from './model/drive-transactions.ts'
export { MortalObjectStore } from './model/mortal-object-store.ts'
export {
  HISTORY_KEYS,
  HistoryViolation,
  type RecordedChange,
  type RecordedStep,
  type RecordedTransaction,
  type RecordedWrite,
  TransactionHistory,
} from './model/transaction-history.ts'
export { type Cut, CutObjectStore } from './fault/cut-object-store.ts'
export { CallScheduler, type WaitingCall } from './sim/call-scheduler.ts'
export { type Choose, everySchedule } from './sim/every-schedule.ts'
export { ManualWallClock } from './sim/manual-wall-clock.ts'
export { SimulatedClock } from './sim/simulated-clock.ts'
export { driveFleet, type FleetOptions } from './fleet/drive-fleet.ts'
