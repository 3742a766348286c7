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

/** A store whose calls are charged to one account, unless a call names another. Closing it closes the inner store. */
export class AccountedObjectStore implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #account: RequestAccount

  constructor(inner: ObjectStore, account: RequestAccount) {
    this.#inner = inner
    this.#account = account
  }

  get url(): string {
    return this.#inner.url
  }

  get traits(): ObjectStoreTraits {
    return this.#inner.traits
  }

  get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    return this.#inner.get(key, this.#charged(options))
  }

  put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    return this.#inner.put(key, body, this.#charged(options))
  }

  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    return this.#inner.head(key, this.#charged(options))
  }

  list(prefix: string, options?: ListOptions): Promise<ListPage> {
    return this.#inner.list(prefix, this.#charged(options))
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#inner.delete(key, this.#charged(options))
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#inner.deleteMany(keys, this.#charged(options))
  }

  get uploads(): UnfinishedUploads | undefined {
    const { uploads } = this.#inner
    return (
      uploads && {
        list: (prefix, options) => uploads.list(prefix, this.#charged(options)),
        abort: (upload, options) => uploads.abort(upload, this.#charged(options)),
      }
    )
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #charged<Options extends CallOptions>(options: Options | undefined): Options & CallOptions {
    return { ...(options as Options), account: options?.account ?? this.#account }
  }
}
