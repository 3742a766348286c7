export { createExactly, type CreateExactlyOptions } from './create-exactly.ts'
export { FileObjectStore, type FileObjectStoreOptions } from './fs/file-object-store.ts'
export { MemoryObjectStore, type MemoryObjectStoreOptions } from './memory/memory-object-store.ts'
export { checkKey, checkPrefix, compareKeys, MAX_KEY_BYTES, MAX_KEY_SEGMENT_BYTES } from './object-key.ts'
export { sourcePieces, sourceSizeBytes } from './object-source.ts'
export type {
  CallOptions,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectBody,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  ObjectStoreTraits,
  PutOptions,
  PutOutcome,
  UnfinishedUpload,
  UnfinishedUploads,
} from './object-store.ts'
export { NumberedObjects, type NumberedNames, type NumberedObjectsOptions } from './sequenced/numbered-objects.ts'
export { type Location, type LocationParts, locationInSameStore, parseLocation, splitLocation } from './parse-location.ts'
export { S3ObjectStore } from './s3/s3-object-store.ts'
export type { S3ObjectStoreOptions } from './s3/s3-options.ts'
export { AdaptiveLimit, type Admission } from './wrap/adaptive-limit.ts'
export { AccountedObjectStore } from './wrap/accounted-object-store.ts'
export { CountingObjectStore, type CountingObjectStoreOptions } from './wrap/counting-object-store.ts'
export {
  conflictError,
  type FaultPlan,
  FaultyObjectStore,
  lostConnectionError,
  slowDownError,
  type StoreFault,
} from './wrap/faulty-object-store.ts'
export { type LatencyCounts, LatencyHistogram, latencyQuantileMs } from './wrap/latency-histogram.ts'
export { LatencyObjectStore, type LatencyObjectStoreOptions } from './wrap/latency-object-store.ts'
export { pricesOfStore } from './wrap/prices-of-store.ts'
export { PrefixedObjectStore } from './wrap/prefixed-object-store.ts'
export {
  estimateDollars,
  type OperationCounts,
  type RequestCounts,
  STORE_OPERATIONS,
  subtractRequests,
  tallyOf,
} from './wrap/request-counts.ts'
export {
  addTally,
  EMPTY_TALLY,
  requestCount,
  type RequestsByClass,
  type RequestTally,
  subtractTally,
} from './wrap/request-tally.ts'
export {
  FREE_PRICES,
  PRICE_TABLES,
  type PriceTable,
  priceTable,
  priceTableDefect,
  type PriceTableName,
  R2_PRICES,
  S3_EXPRESS_PRICES,
  S3_STANDARD_PRICES,
} from './wrap/price-table.ts'
export { type ChargedCall, costOf, RequestAccount, type RequestCost } from './wrap/request-account.ts'
export { RetryingObjectStore, type RetryingObjectStoreOptions } from './wrap/retrying-object-store.ts'
export { type StoreCall, type StoreOperation, WrappedObjectStore } from './wrap/wrapped-object-store.ts'
