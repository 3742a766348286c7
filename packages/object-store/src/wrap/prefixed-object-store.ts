import { checkKey } from '../object-key.ts'
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

/**
 * The part of a store below a prefix, as a store of its own: the key `a` here is `<prefix>/a` there. Keys can be
 * shorter by the prefix than elsewhere. `close` closes the inner store.
 */
export class PrefixedObjectStore implements ObjectStore {
  readonly url: string
  readonly traits: ObjectStoreTraits
  readonly #inner: ObjectStore
  /** Ends in a slash, unless it is empty. */
  readonly #prefix: string

  /** `prefix` is without a slash at either end; empty for the whole store. Throws INVALID when it can name nothing. */
  constructor(inner: ObjectStore, prefix: string) {
    if (prefix !== '') checkKey(prefix)
    this.#inner = inner
    this.#prefix = prefix === '' ? '' : `${prefix}/`
    this.url = prefix === '' ? inner.url : `${inner.url}/${prefix}`
    this.traits = inner.traits
  }

  get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    return this.#inner.get(this.#outward(key), options)
  }

  put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    return this.#inner.put(this.#outward(key), body, options)
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    const info = await this.#inner.head(this.#outward(key), options)
    return info && this.#inward(info)
  }

  async list(prefix: string, options?: ListOptions): Promise<ListPage> {
    const startAfter = options?.startAfter
    const page = await this.#inner.list(this.#outward(prefix), {
      ...options,
      ...(startAfter !== undefined && { startAfter: this.#outward(startAfter) }),
    })
    return { ...page, objects: page.objects.map((info) => this.#inward(info)) }
  }

  delete(key: string, options?: CallOptions): Promise<void> {
    return this.#inner.delete(this.#outward(key), options)
  }

  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    return this.#inner.deleteMany(
      keys.map((key) => this.#outward(key)),
      options,
    )
  }

  get uploads(): UnfinishedUploads | undefined {
    const { uploads } = this.#inner
    return (
      uploads && {
        list: async (prefix, options) => {
          const found = await uploads.list(this.#outward(prefix), options)
          return found.map((upload) => ({ ...upload, key: upload.key.slice(this.#prefix.length) }))
        },
        abort: (upload, options) => uploads.abort({ ...upload, key: this.#outward(upload.key) }, options),
      }
    )
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  /** What is not text goes to the inner store as it is, to be refused there. */
  #outward(key: string): string {
    return typeof key === 'string' ? this.#prefix + key : key
  }

  #inward(info: ObjectInfo): ObjectInfo {
    return { ...info, key: info.key.slice(this.#prefix.length) }
  }
}
