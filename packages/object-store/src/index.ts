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
