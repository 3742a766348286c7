import type { FileId } from '../layout/object-names.ts'
import type { TableFile } from './table-file.ts'

/** One change to a version: tables that leave it and tables that enter it, each with its level. */
export interface VersionEdit {
  readonly removed: readonly { readonly level: number; readonly id: FileId }[]
  readonly added: readonly { readonly level: number; readonly file: TableFile }[]
}

export const EMPTY_EDIT: VersionEdit = { removed: [], added: [] }
