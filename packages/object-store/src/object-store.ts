import type { RequestAccount } from './wrap/request-account.ts'

/**
 * The contract between Moraine and a bucket. Drivers (memory, folder, S3) and wrappers (retrying, counting, ...)
 * implement it; `@moraine/testing` exports the suite that proves an implementation.
 *
 * Rules that every driver keeps:
 * - A key is UTF-8 text of 1 to 1024 bytes, `/`-separated, without control characters and without empty, `.` or `..`
 *   segments or such of more than 255 bytes; others are INVALID. No key may be a folder of another (`a` and `a/b`):
 *   stores that keep folders refuse the second one.
 * - An object appears whole or not at all; after `put` resolves, every later `get`, `head` and `list` sees it.
 * - `ifAbsent` is decided atomically by the store: of any number of concurrent creates of one key, one wins.
 * - A call that may or may not have happened (time-out, lost connection, 5xx, 409) rejects with UNAVAILABLE.
 *   Drivers never retry on their own: that is `RetryingObjectStore` and `createExactly`.
 * - An aborted signal rejects with ABORTED and leaves no open socket, file or unfinished upload behind.
 */
export interface ObjectStore {
  /** Where this store is, for messages: `s3://bucket`, `file:///folder`, `memory://name`. Holds no secrets. */
  readonly url: string
  /** What the store promises beyond the contract. */
  readonly traits: ObjectStoreTraits

  /**
   * Reads an object, or a part of it. Resolves to undefined when there is no such object. A range past the end is
   * cut to the object's size; a range that starts at or past the end gives zero bytes. The bytes are an
   * exactly-sized array that nothing else refers to.
   */
  get(key: string, options?: GetOptions): Promise<ObjectBody | undefined>

  /**
   * Writes a whole object. With `ifAbsent` the result says whether this call created it (`created`) or it was there
   * (`exists`, nothing written); without, an existing object is replaced and the result is `created`.
   * `ifAbsent` is only for small bodies: it is always a single conditional PUT and never multipart.
   */
  put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome>

  /** Size and time of an object; undefined when there is none. */
  head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined>

  /** One page of the objects whose key starts with `prefix`, in key order when `traits.orderedList`. */
  list(prefix: string, options?: ListOptions): Promise<ListPage>

  /** Deletes an object; deleting what is not there is not an error. */
  delete(key: string, options?: CallOptions): Promise<void>

  /** Deletes many objects in as few requests as the store allows. Rejects if any of them could not be deleted. */
  deleteMany(keys: readonly string[], options?: CallOptions): Promise<void>

  /** Multipart uploads that nobody finished; undefined where there is no such thing. */
  readonly uploads?: UnfinishedUploads | undefined

  /** Releases sockets and timers. Later calls reject with CLOSED. */
  close(): Promise<void>
}

/**
 * Large bodies of writers that died in the middle: their parts are stored and paid for, but are not objects. Which of them
 * are still under way only their writer knows.
 */
export interface UnfinishedUploads {
  /** All of them whose key starts with `prefix`. */
  list(prefix: string, options?: CallOptions): Promise<readonly UnfinishedUpload[]>

  /** Gives the parts back; an upload that is gone is not an error. A writer that still sends parts of it fails. */
  abort(upload: Pick<UnfinishedUpload, 'key' | 'uploadId'>, options?: CallOptions): Promise<void>
}

export interface UnfinishedUpload {
  readonly key: string
  readonly uploadId: string
  /** The store's own time of its beginning, milliseconds since the Unix epoch. */
  readonly begunAtMs: number
}

export interface ObjectStoreTraits {
  /** Listings come in key order, by UTF-8 bytes (everywhere but S3 Express directory buckets). */
  readonly orderedList: boolean
  /** Bodies from `thresholdBytes` on are sent in parts of `partSizeBytes`, one request each and two more around them. */
  readonly multipart?: { readonly thresholdBytes: number; readonly partSizeBytes: number } | undefined
  /** The URL of the server that was asked for; undefined on AWS itself and where there is no server. */
  readonly endpoint?: string | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  /** Who the requests of this call are charged to, where they are counted; drivers take no notice of it. */
  readonly account?: RequestAccount | undefined
}

export interface GetOptions extends CallOptions {
  /** Part of the object to read: bytes [offset, offset + length), or its last `suffix` bytes. */
  readonly range?: { readonly offset: number; readonly length: number } | { readonly suffix: number } | undefined
}

export interface PutOptions extends CallOptions {
  readonly ifAbsent?: boolean | undefined
}

/**
 * What to write: one array, or its pieces in order (they are not copied together first; the caller does not change
 * them before the call resolves).
 */
export type ObjectSource = Uint8Array | readonly Uint8Array[]

export type PutOutcome = 'created' | 'exists'

export interface ObjectBody {
  readonly bytes: Uint8Array
  /** Size of the whole object in bytes, also when a range was read. */
  readonly objectSizeBytes: number
}

export interface ObjectInfo {
  readonly key: string
  readonly sizeBytes: number
  /** The store's own time of the last write, milliseconds since the Unix epoch. */
  readonly lastModifiedMs: number
}

export interface ListOptions extends CallOptions {
  /** Only keys greater than this one. Ignored when `token` is given. */
  readonly startAfter?: string | undefined
  /** Where the previous page ended: its `nextToken`. */
  readonly token?: string | undefined
  /** At most so many objects in this page; the store may give fewer. 1 to 1000. */
  readonly maxKeys?: number | undefined
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[]
  /** Present when there may be more: pass it as `token`. */
  readonly nextToken?: string | undefined
  /** The store's own clock when it answered, milliseconds since the Unix epoch; leases lapse by it. */
  readonly storeTimeMs: number
}
