import { type Origin, originKey } from '../manifest/origin.ts'
import { filesOf, type Version } from '../manifest/version.ts'

/** A number of files, tables and blob files, and their size in the store. */
export interface FileTotals {
  readonly files: number
  readonly sizeBytes: number
}

/** How two states of a database differ in files: what a copy of one would have to fetch to become the other. */
export interface VersionDiff {
  /** Files of both. */
  readonly shared: FileTotals
  /** Files of the second only. */
  readonly added: FileTotals
  /** Files of the first only. */
  readonly gone: FileTotals
}

/**
 * Compares the files of two versions. A file is counted once, whatever its level and however many parts of it a version
 * refers to: levels cost nothing to change, and parts share their bytes.
 */
export function diffVersions(from: Version, to: Version): VersionDiff {
  const before = filesByName(from)
  const after = filesByName(to)
  return {
    shared: totals([...after].filter(([name]) => before.has(name))),
    added: totals([...after].filter(([name]) => !before.has(name))),
    gone: totals([...before].filter(([name]) => !after.has(name))),
  }
}

interface SizedFile {
  readonly id: string
  readonly origin?: Origin | undefined
  readonly sizeBytes: number
}

function filesByName(version: Version): Map<string, SizedFile> {
  const files = new Map<string, SizedFile>()
  const add = (file: SizedFile): Map<string, SizedFile> =>
    files.set(file.origin === undefined ? file.id : `${originKey(file.origin)} ${file.id}`, file)
  for (const file of filesOf(version)) {
    add(file)
    file.blobs?.forEach(add)
  }
  return files
}

function totals(files: readonly (readonly [string, SizedFile])[]): FileTotals {
  return { files: files.length, sizeBytes: files.reduce((bytes, [, file]) => bytes + file.sizeBytes, 0) }
}
