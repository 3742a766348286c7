import { type Clock, concatBytes, timeSlices } from '@moraine/base'
import type { ObjectStore, RequestAccount } from '@moraine/object-store'
import { parseSstTail } from '@moraine/sstable'
import { blobName, type FileId, sstName } from '../layout/object-names.ts'
import { NO_BLOBS } from '../manifest/blob-link.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { BuiltTable } from './built-table.ts'
import type { TableStore } from './table-store.ts'

/**
 * Uploads finished tables under names that nobody has used, each after the blob file that was written for it. From before
 * they are uploaded until their manifest is committed or given up, their ids stand in `unpublished`: a collector must not
 * take them for garbage.
 */
export class TableWriter {
  readonly unpublished: Set<FileId> = new Set()
  readonly #store: ObjectStore
  readonly #tables: TableStore
  readonly #clock: Clock
  readonly #newId: () => FileId

  constructor(options: { store: ObjectStore; tables: TableStore; clock: Clock; newId: () => FileId }) {
    this.#store = options.store
    this.#tables = options.tables
    this.#clock = options.clock
    this.#newId = options.newId
  }

  /**
   * Resolves when the table, and what it refers to, is durable in the store. Its metadata is kept, so that opening it costs no request, and so are
   * the blocks that are to take the place of hot ones in `replaced`, the tables that it was made of.
   */
  async upload(
    table: BuiltTable,
    signal?: AbortSignal,
    account?: RequestAccount,
    replaced: readonly TableFile[] = [],
  ): Promise<TableFile> {
    const { summary, parts, blobs } = table
    const id = this.#newId()
    const ids = [id, ...blobs.files.map((blob) => blob.id)]
    for (const each of ids) this.unpublished.add(each)
    const name = sstName(id)
    const tail = tailOf(parts, summary.tailOffset)
    const metadata = parseSstTail(tail, {
      name,
      sizeBytes: summary.sizeBytes,
      tailOffset: summary.tailOffset,
      tailCrc32c: summary.tailCrc32c,
    })
    try {
      for (const blob of blobs.files) await this.#store.put(blobName(blob.id), blob.parts, { signal, account })
      await this.#store.put(name, parts, { signal, account })
    } catch (error) {
      for (const each of ids) this.unpublished.delete(each)
      throw error
    }
    const file: TableFile = {
      id,
      sizeBytes: summary.sizeBytes,
      tailOffset: summary.tailOffset,
      tailCrc32c: summary.tailCrc32c,
      entryCount: summary.entryCount,
      deletionCount: summary.deletionCount,
      smallestKey: summary.smallestKey,
      largestKey: summary.largestKey,
      smallestSeq: summary.smallestSeq,
      largestSeq: summary.largestSeq,
      rawBytes: summary.rawKeyBytes + summary.rawValueBytes,
      createdAtMs: this.#clock.nowMs(),
      ...(summary.rangeTombstoneCount > 0 && { rangeTombstoneCount: summary.rangeTombstoneCount }),
      ...(summary.largestKeyExcluded && { largestKeyExcluded: true }),
      ...(table.enveloped && { enveloped: true }),
      ...(blobs.links.length > 0 && { blobs: blobs.links }),
      ...(table.expiresAtMs !== undefined && { expiresAtMs: table.expiresAtMs }),
    }
    const handle = this.#tables.handle(file)
    this.#tables.adoptMetadata(handle, metadata)
    const fresh = { parts, tail, nextKey: table.nextKey }
    await this.#tables.prepare(handle, metadata, fresh, replaced, timeSlices(this.#clock, signal ?? NEVER))
    return file
  }

  /** The manifest that names these tables is committed, or they will never be named. */
  published(files: readonly TableFile[]): void {
    for (const { id, blobs = NO_BLOBS } of files) {
      this.unpublished.delete(id)
      for (const link of blobs) this.unpublished.delete(link.id)
    }
    this.#tables.dropPrepared(files)
  }
}

const NEVER: AbortSignal = new AbortController().signal

/** The bytes from `offset` on, out of consecutive pieces. */
function tailOf(parts: readonly Uint8Array[], offset: number): Uint8Array {
  const tail: Uint8Array[] = []
  let end = parts.reduce((size, part) => size + part.length, 0)
  for (let i = parts.length - 1; i >= 0 && end > offset; i--) {
    const part = parts[i] as Uint8Array
    const start = end - part.length
    tail.unshift(start >= offset ? part : part.subarray(offset - start))
    end = start
  }
  return concatBytes(tail)
}
