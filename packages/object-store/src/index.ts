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
} from './object-store.ts'
export { type Location, parseLocation } from './parse-location.ts'
export { S3ObjectStore } from './s3/s3-object-store.ts'
export type { S3ObjectStoreOptions } from './s3/s3-options.ts'
