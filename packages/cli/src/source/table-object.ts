import type { RandomAccess } from '@moraine/sstable'

/** One table file, wherever it lies. */
export interface TableObject {
  /** Path or URL, for messages. */
  readonly name: string
  /** The part of the name that tells it from the others of its source. */
  readonly label: string
  readonly sizeBytes: number
  open(): Promise<OpenTable>
}

/** An open table file. It is read by range only: never whole. */
export interface OpenTable extends RandomAccess {
  [Symbol.asyncDispose](): Promise<void>
}

/** The tables that a command line names. */
export interface TableSource {
  /** In order of their names. */
  readonly tables: readonly TableObject[]
  /** It named one file, not a folder that may hold several. */
  readonly single: boolean
  [Symbol.asyncDispose](): Promise<void>
}
