import { BLOB_FOOTER_BYTES, BLOB_HEADER_BYTES } from '../blob/blob-format.ts'
import type { FileId } from '../layout/object-names.ts'
import { blobFilesOf } from '../manifest/blob-files.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { Version } from '../manifest/version.ts'
import type { FlushJob } from '../table/byte-work.ts'
import type { CompactionPlan, CompactionSettings } from './compaction-plan.ts'

type BlobGarbageSettings = Pick<CompactionSettings, 'blobGarbagePercent'>

/** Asked for the same version by the picker and by what carries its plan out. */
const known = new WeakMap<Version, { readonly percent: number; readonly shares: ReadonlyMap<FileId, number> }>()

/**
 * The blob files of which the tables of a version still refer to less than the setting asks for, with that share. Their
 * values are written anew by whatever compaction meets them, so that the files can go. A file that was just written is
 * referred to as a whole, so nothing is moved twice for nothing.
 */
export function blobGarbage(version: Version, { blobGarbagePercent }: BlobGarbageSettings): ReadonlyMap<FileId, number> {
  if (blobGarbagePercent === 0) return NONE
  const before = known.get(version)
  if (before?.percent === blobGarbagePercent) return before.shares
  const shares = new Map<FileId, number>()
  for (const { id, liveBytes, sizeBytes } of blobFilesOf(version).values()) {
    const share = liveBytes / Math.max(1, sizeBytes - BLOB_HEADER_BYTES - BLOB_FOOTER_BYTES)
    if (share * 100 < blobGarbagePercent) shares.set(id, share)
  }
  known.set(version, { percent: blobGarbagePercent, shares })
  return shares
}

/**
 * The blob files whose values a compaction writes anew: garbage, and with `borrowed` also those of other databases, which
 * the database wants to become independent of.
 */
export function relocatedBlobs(
  plan: CompactionPlan,
  version: Version,
  settings: BlobGarbageSettings,
  borrowed: boolean,
): FileId[] {
  const garbage = blobGarbage(version, settings)
  const relocated = new Set<FileId>()
  for (const { files } of plan.inputs) {
    for (const { blobs = [] } of files) {
      for (const { id, origin } of blobs) if (garbage.has(id) || (borrowed && origin !== undefined)) relocated.add(id)
    }
  }
  return [...relocated]
}

/** What a merge goes by that also writes the values in these blob files anew. */
export function relocating(rules: FlushJob, relocate: readonly FileId[] = []): FlushJob {
  return rules.blobs === undefined || relocate.length === 0 ? rules : { ...rules, blobs: { ...rules.blobs, relocate } }
}

/** The least share that is left of any blob file that a table refers to; 1 when none of them is garbage. */
export function leastShare({ blobs = [] }: TableFile, garbage: ReadonlyMap<FileId, number>): number {
  return blobs.reduce((least, { id }) => Math.min(least, garbage.get(id) ?? 1), 1)
}

/** Bytes that a table still refers to in garbage: what its rewriting moves. */
export function garbageLinkBytes({ blobs = [] }: TableFile, garbage: ReadonlyMap<FileId, number>): number {
  return blobs.reduce((bytes, { id, liveBytes }) => (garbage.has(id) ? bytes + liveBytes : bytes), 0)
}

/** Size of the blob files that came to be with the outputs of a plan. */
export function writtenBlobBytes(plan: CompactionPlan, outputs: readonly TableFile[]): number {
  const before = new Set(plan.inputs.flatMap(({ files }) => files.flatMap(({ blobs = [] }) => blobs.map(({ id }) => id))))
  return outputs.reduce(
    (bytes, { blobs = [] }) => blobs.reduce((sum, { id, sizeBytes }) => (before.has(id) ? sum : sum + sizeBytes), bytes),
    0,
  )
}

const NONE: ReadonlyMap<FileId, number> = new Map()
