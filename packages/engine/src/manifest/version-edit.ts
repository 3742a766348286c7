import type { TableFile } from './table-file.ts'

/** A table and the level it stands in. */
export interface LeveledFile {
  readonly level: number
  readonly file: TableFile
}

/**
 * One change to a version: tables that leave it and tables that enter it. Those that leave are named by the very objects
 * that stand in the version, because two parts of one table may be there.
 */
export interface VersionEdit {
  readonly removed: readonly LeveledFile[]
  readonly added: readonly LeveledFile[]
}
