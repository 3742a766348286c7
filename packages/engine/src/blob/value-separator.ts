import { MoraineError } from '@moraine/base'
import type { Compression } from '@moraine/sstable'
import { blobIdOf, type BlobSeed, type FileId } from '../layout/object-names.ts'
import { type BlobLink, NO_BLOBS } from '../manifest/blob-link.ts'
import { BlobFileWriter, type BuiltBlobFile } from './blob-file-writer.ts'
import type { BlobReference } from './blob-reference.ts'
import { valueOfRecord } from './blob-record.ts'
import type { BlobWindows } from './blob-windows.ts'
import { LinkCounter } from './link-counter.ts'

/** How a flush or a merge treats large values. Plain data, fit for structured cloning. */
export interface SeparationSettings {
  /** Values of at least this size go to blob files; 0: none do. */
  readonly thresholdBytes: number
  /** Keyspaces with a threshold of their own. */
  readonly thresholds?: readonly (readonly [keyspace: string, thresholdBytes: number])[]
  /** Names the blob files. */
  readonly seed: BlobSeed
  /** Values in these files are written anew, so that the files can go. */
  readonly relocate: readonly FileId[]
}

/** Whether values of any keyspace go to blob files. */
export function separatesAny({ thresholdBytes, thresholds = [] }: SeparationSettings): boolean {
  return thresholdBytes > 0 || thresholds.some(([, own]) => own > 0)
}

/** The blob files that were written for a table, and all that it refers to. */
export interface TableBlobs {
  readonly files: readonly BuiltBlobFile[]
  readonly links: readonly BlobLink[]
}

/** Size of the files that were written. */
export function blobFileBytes({ files }: TableBlobs): number {
  return files.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
}

export const NO_TABLE_BLOBS: TableBlobs = { files: [], links: NO_BLOBS }

/**
 * The large values of the tables that one job builds. Each table has a blob file of its own, which is named by nothing
 * else, so that what is uploaded before a table is all that the table needs; values that lie in older blob files stay
 * there, unless those are to be relocated.
 */
export class ValueSeparator {
  readonly #settings: SeparationSettings
  readonly #thresholds: ReadonlyMap<string, number>
  readonly #relocate: ReadonlySet<FileId>
  readonly #known: ReadonlyMap<FileId, BlobLink>
  readonly #windows: BlobWindows
  #links: LinkCounter | undefined
  #writer: BlobFileWriter | undefined
  #written = 0

  /**
   * @param known the links of the tables that are merged
   * @param windows reads the values that are relocated, or that somebody must see
   */
  constructor(settings: SeparationSettings, known: readonly BlobLink[], windows: BlobWindows) {
    this.#settings = settings
    this.#thresholds = new Map(settings.thresholds)
    this.#relocate = new Set(settings.relocate)
    this.#known = new Map(known.map((link) => [link.id, link]))
    this.#windows = windows
  }

  /** Bytes in the blob file of the table that is being built. */
  get writtenBytes(): number {
    return this.#writer?.sizeBytes ?? 0
  }

  /** Whether a value of this length goes to a blob file. */
  separates(keyspace: string, valueBytes: number): boolean {
    const thresholdBytes = this.#thresholds.get(keyspace) ?? this.#settings.thresholdBytes
    return thresholdBytes > 0 && valueBytes >= thresholdBytes
  }

  /**
   * To be called before a reference is passed on or its value is asked for: a promise when the value has to be fetched first,
   * because its file is to be collected or because `wanted` says that somebody must see it.
   */
  prepare(reference: BlobReference, wanted: boolean): Promise<unknown> | undefined {
    if (!wanted && !this.#relocate.has(reference.id)) return undefined
    return this.#windows.find(reference) === undefined ? this.#windows.fetch(reference) : undefined
  }

  /** Writes the value `bytes[start, end)` into the blob file. */
  write(bytes: Uint8Array, start: number, end: number, compression: Compression): BlobReference {
    return this.#linked(this.#open().add(bytes, start, end, compression))
  }

  /** What the table is to hold for a value that lies in a blob file already. */
  pass(reference: BlobReference): BlobReference {
    if (!this.#relocate.has(reference.id)) return this.#linked(reference)
    const { bytes, start, end } = this.#windows.found(reference)
    return this.#linked(this.#open().copy(reference, bytes, start, end))
  }

  /** The value itself, in an array that is not to be written to. */
  valueOf(reference: BlobReference): Uint8Array {
    const { bytes, start, end } = this.#windows.found(reference)
    return valueOfRecord(reference, bytes, start, end)
  }

  /** The table is finished: what goes with it. The next value belongs to another table. */
  take(): TableBlobs {
    const links = this.#links
    if (links === undefined) return NO_TABLE_BLOBS
    const built = this.#writer?.finish()
    this.#links = undefined
    this.#writer = undefined
    return { files: built === undefined ? [] : [built], links: links.links((id) => (id === built?.id ? built : this.#knownLink(id))) }
  }

  #open(): BlobFileWriter {
    this.#writer ??= new BlobFileWriter(blobIdOf(this.#settings.seed, ++this.#written))
    return this.#writer
  }

  #linked(reference: BlobReference): BlobReference {
    this.#links ??= new LinkCounter()
    this.#links.add(reference)
    return reference
  }

  #knownLink(id: FileId): BlobLink {
    const link = this.#known.get(id)
    if (link !== undefined) return link
    throw new MoraineError('CORRUPTION', `a table refers to blob file ${id}, which the manifest does not list for it`, {
      detail: { blob: id },
    })
  }
}
