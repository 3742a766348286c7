import type { FileId } from '../layout/object-names.ts'
import type { BlobReference } from './blob-reference.ts'

/** References of one file that are read with one request, in order of their offsets. */
export interface ReferenceGroup {
  readonly id: FileId
  readonly offset: number
  readonly length: number
  readonly references: readonly BlobReference[]
}

/** Bytes between two values that are read and thrown away rather than asked for apart: less than a request costs. */
const MOST_GAP_BYTES = 64 * 1024

/**
 * Groups references whose records lie close together, each group of at most `mostBytes` unless one record alone is larger.
 * Several references to one record share it.
 */
export function coalesceReferences(references: readonly BlobReference[], mostBytes: number): ReferenceGroup[] {
  const byFile = new Map<FileId, BlobReference[]>()
  for (const reference of references) {
    const known = byFile.get(reference.id)
    if (known === undefined) byFile.set(reference.id, [reference])
    else known.push(reference)
  }
  return [...byFile].flatMap(([id, ofFile]) => groupsOf(id, ofFile.sort((a, b) => a.offset - b.offset), mostBytes))
}

function groupsOf(id: FileId, ordered: readonly BlobReference[], mostBytes: number): ReferenceGroup[] {
  const groups: { id: FileId; offset: number; length: number; references: BlobReference[] }[] = []
  for (const reference of ordered) {
    const { offset } = reference
    const end = offset + reference.recordBytes
    const group = groups.at(-1)
    const gap = group === undefined ? 0 : offset - (group.offset + group.length)
    if (group === undefined || gap > MOST_GAP_BYTES || end - group.offset > mostBytes) {
      groups.push({ id, offset, length: reference.recordBytes, references: [reference] })
    } else {
      group.length = Math.max(group.length, end - group.offset)
      group.references.push(reference)
    }
  }
  return groups
}
