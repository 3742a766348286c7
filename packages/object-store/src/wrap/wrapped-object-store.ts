import { sourcePieces, sourceSizeBytes } from '../object-source.ts'
import type {
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
  UnfinishedUploads,
} from '../object-store.ts'
import type { RequestAccount } from './request-account.ts'

export type StoreOperation = 'get' | 'put' | 'head' | 'list' | 'delete' | 'deleteMany'

/** What a wrapper may know about a call that passes through it. */
export interface StoreCall {
  readonly operation: StoreOperation
  /** The key; the prefix of a list; the first key of a deleteMany (empty when there is none). */
  readonly key: string
  readonly signal: AbortSignal | undefined
  readonly account: RequestAccount | undefined
  readonly ifAbsent: boolean
  /** Bytes to be written. */
  readonly bodyBytes: number
  /** Keys to be deleted by a deleteMany, 1 for all else. */
  readonly keyCount: number
}

/** A store around another: each call of it goes through `around`, which runs the inner call once, often or not at all. */
export abstract class WrappedObjectStore implements ObjectStore {
  protected readonly inner: ObjectStore

  constructor(inner: ObjectStore) {
    this.inner = inner
  }

  get url(): string {
    return this.inner.url
  }

  get traits(): ObjectStoreTraits {
    return this.inner.traits
  }

  /** `run` makes the inner call; each run makes it anew. */
  protected abstract around<T>(call: StoreCall, run: () => Promise<T>): Promise<T>

  /** The options of a call as the inner store gets them. */
  protected passedOn<Options extends CallOptions>(options: Options | undefined): Options | undefined {
    return options
  }

  get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    return this.around(storeCall('get', key, options), () => this.inner.get(key, this.passedOn(options)))
  }

  async put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    const bodyBytes = sourceSizeBytes(sourcePieces(body))
    const call = { ...storeCall('put', key, options), ifAbsent: options?.ifAbsent === true, bodyBytes }
    return await this.around(call, () => this.inner.put(key, body, this.passedOn(options)))
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.around(storeCall('head', key, options), () => this.inner.head(key, this.passedOn(options)))
  }

  list(prefix: string, options?: ListOptions): Promise<ListPage> {
    return this.around(storeCall('list', prefix, options), () => this.inner.list(prefix, this.passedOn(options)))
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.around(storeCall('delete', key, options), () => this.inner.delete(key, this.passedOn(options)))
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    const call = { ...storeCall('deleteMany', keys[0] ?? '', options), keyCount: keys.length }
    return this.around(call, () => this.inner.deleteMany(keys, this.passedOn(options)))
  }

  /** Counted and retried as what they are like: a listing and a deletion. */
  get uploads(): UnfinishedUploads | undefined {
    const { uploads } = this.inner
    return (
      uploads && {
        list: (prefix, options) => this.around(storeCall('list', prefix, options), () => uploads.list(prefix, this.passedOn(options))),
        abort: (upload, options) => this.around(storeCall('delete', upload.key, options), () => uploads.abort(upload, this.passedOn(options))),
      }
    )
  }

  close(): Promise<void> {
    return this.inner.close()
  }
}

function storeCall(operation: StoreOperation, key: string, options: CallOptions | undefined): StoreCall {
  return { operation, key, signal: options?.signal, account: options?.account, ifAbsent: false, bodyBytes: 0, keyCount: 1 }
}
