import { MoraineError } from '@moraine/base'
import type { CallOptions, ObjectStore, RequestAccount } from '@moraine/object-store'
import { blobName, type FileId } from '../layout/object-names.ts'
import type { BlobLink } from '../manifest/blob-link.ts'
import type { Origin } from '../manifest/origin.ts'
import type { BlobReference } from './blob-reference.ts'
import { valueOfRecord, verifyRecord } from './blob-record.ts'
import { coalesceReferences, type ReferenceGroup } from './coalesce-references.ts'
import { ResidentValues, type ValueCache } from './value-cache.ts'

/** Counters of reads of separated values. */
export interface BlobStoreStats {
  /** Values fetched for point reads, one ranged GET each. */
  readonly valueLoads: number
  /** Ranged GETs for the values of scans, of which each may bring many. */
  readonly groupLoads: number
}

/** Who reads of values are charged to, unless the reader says so itself. */
export interface BlobReadAccounts {
  readonly gets?: RequestAccount | undefined
  readonly scans?: RequestAccount | undefined
}

/** What is known of a blob file. */
interface BlobHandle {
  readonly link: BlobLink
  readonly values: ResidentValues
  /** Loads under way by offset, so that concurrent misses share one request. */
  readonly loads: Map<number, Promise<Uint8Array>>
  /** Open tables that refer to it. */
  tables: number
}

/** A scan's values are fetched in requests of at most this size... */
const GROUP_BYTES = 4 * 1024 * 1024

/** ...and so many at a time. */
const GROUPS_AT_ONCE = 8

/**
 * The values that lie in blob files. Everything that is read is verified before it is used: the size of the file against
 * the manifest, the record against the reference in its table. The arrays it gives are shared: nobody writes to them.
 */
export class BlobStore {
  readonly #storeOf: (origin: Origin | undefined) => Pick<ObjectStore, 'get'>
  readonly #cache: ValueCache
  readonly #accounts: BlobReadAccounts
  readonly #handles = new Map<FileId, BlobHandle>()
  #valueLoads = 0
  #groupLoads = 0

  /** @param storeOf the store, at the prefix of its database, that the blob files of an origin lie in */
  constructor(storeOf: (origin: Origin | undefined) => Pick<ObjectStore, 'get'>, cache: ValueCache, accounts: BlobReadAccounts = {}) {
    this.#storeOf = storeOf
    this.#cache = cache
    this.#accounts = accounts
  }

  /** The blob files that a table refers to. To be told before anything of the table is read. */
  retain(links: readonly BlobLink[]): void {
    for (const link of links) {
      const handle = this.#handles.get(link.id)
      if (handle !== undefined) handle.tables++
      else this.#handles.set(link.id, { link, values: new ResidentValues(this.#cache), loads: new Map(), tables: 1 })
    }
  }

  /** A table has left; what no other one refers to is dropped from memory. */
  release(links: readonly BlobLink[]): void {
    for (const { id } of links) {
      const handle = this.#handles.get(id)
      if (handle === undefined || --handle.tables > 0) continue
      handle.values.drop()
      this.#handles.delete(id)
    }
  }

  /** The value, when that needs no I/O. */
  resident(reference: BlobReference): Uint8Array | undefined {
    return this.#handles.get(reference.id)?.values.find(reference)
  }

  /** One value, through the cache; concurrent callers share one GET. */
  load(reference: BlobReference): Promise<Uint8Array> {
    const handle = this.#handleOf(reference)
    const resident = handle.values.find(reference)
    if (resident !== undefined) return Promise.resolve(resident)
    const loading = handle.loads.get(reference.offset)
    if (loading !== undefined) return loading
    const load = this.#fetch(handle, reference).finally(() => handle.loads.delete(reference.offset))
    handle.loads.set(reference.offset, load)
    return load
  }

  /**
   * Many values at once, in the order of their references: those that lie close together share a GET. They are kept in
   * the cache only where that pushes nothing out, because scans ask for this.
   */
  async loadMany(references: readonly BlobReference[], signal?: AbortSignal): Promise<Uint8Array[]> {
    const values = references.map((reference) => this.resident(reference))
    const missing = references.filter((_, i) => values[i] === undefined)
    if (missing.length === 0) return values as Uint8Array[]
    const loaded = new Map<BlobReference, Uint8Array>()
    const groups = coalesceReferences(missing, GROUP_BYTES)
    const lane = async (): Promise<void> => {
      for (let group = groups.shift(); group !== undefined; group = groups.shift()) await this.#fetchGroup(group, loaded, signal)
    }
    await Promise.all(Array.from({ length: Math.min(GROUPS_AT_ONCE, groups.length) }, lane))
    return references.map((reference, i) => values[i] ?? (loaded.get(reference) as Uint8Array))
  }

  /** Bytes of a file as they are stored; fewer at its end. Verified by nothing but the file's size. */
  async read(id: FileId, offset: number, length: number, call: CallOptions = {}): Promise<Uint8Array> {
    return await this.#read(this.#handleOf({ id }).link, offset, length, call)
  }

  stats(): BlobStoreStats {
    return { valueLoads: this.#valueLoads, groupLoads: this.#groupLoads }
  }

  async #fetch(handle: BlobHandle, reference: BlobReference): Promise<Uint8Array> {
    const bytes = await this.#read(handle.link, reference.offset, reference.recordBytes, { account: this.#accounts.gets })
    verifyRecord(reference, bytes, 0, bytes.length)
    const value = valueOfRecord(reference, bytes, 0, bytes.length)
    this.#valueLoads++
    if (this.#handles.get(reference.id) === handle) handle.values.keep(reference, value, true)
    return value
  }

  async #fetchGroup(group: ReferenceGroup, loaded: Map<BlobReference, Uint8Array>, signal: AbortSignal | undefined): Promise<void> {
    const handle = this.#handleOf(group)
    const bytes = await this.#read(handle.link, group.offset, group.length, { account: this.#accounts.scans, signal })
    this.#groupLoads++
    for (const reference of group.references) {
      const start = reference.offset - group.offset
      const end = Math.min(start + reference.recordBytes, bytes.length)
      verifyRecord(reference, bytes, start, end)
      const value = valueOfRecord(reference, bytes, start, end)
      loaded.set(reference, value)
      if (this.#handles.get(reference.id) === handle) handle.values.keep(reference, value, false)
    }
  }

  #handleOf({ id }: Pick<BlobReference, 'id'>): BlobHandle {
    const handle = this.#handles.get(id)
    if (handle !== undefined) return handle
    const name = blobName(id)
    throw new MoraineError('CORRUPTION', `a table refers to ${name}, which the manifest does not list for it`, { detail: { file: name } })
  }

  async #read(link: BlobLink, offset: number, length: number, call: CallOptions): Promise<Uint8Array> {
    const name = blobName(link.id)
    const body = await this.#storeOf(link.origin).get(name, { ...call, range: { offset, length } })
    if (body === undefined) throw missingBlob(link)
    if (body.objectSizeBytes !== link.sizeBytes) {
      throw new MoraineError(
        'CORRUPTION',
        `${name} has ${body.objectSizeBytes} bytes, but the manifest says ${link.sizeBytes}: it is not the file that was written`,
        { detail: { file: name } },
      )
    }
    return body.bytes
  }
}

export function missingBlob({ id, liveBytes }: BlobLink): MoraineError {
  const name = blobName(id)
  return new MoraineError(
    'CORRUPTION',
    `${name} is missing from the store; it holds ${liveBytes} bytes of large values. Restore the object or an older checkpoint`,
    { detail: { file: name, missing: true } },
  )
}
