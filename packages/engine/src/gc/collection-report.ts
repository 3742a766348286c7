import type { CollectionPlan, DataObject } from './reachability.ts'

/** What a collection deleted, or would have. Sizes in bytes. */
export interface CollectionReport {
  /** `retired`: what this owner itself had replaced. `sweep`: everything that nothing refers to. */
  readonly kind: 'retired' | 'sweep'
  readonly tables: number
  readonly blobs: number
  readonly bases: number
  /** Bytes of tables, blob files and base objects. */
  readonly sizeBytes: number
  readonly manifests: number
  /** Log segments of former owners. */
  readonly logSegments: number
  /** Claims, heartbeats and results of remote compactions that are over. */
  readonly jobObjects: number
  /** Leases that had lapsed. */
  readonly pins: number
  /** Unfinished multipart uploads. */
  readonly uploads: number
}

export function reportOf(plan: CollectionPlan): CollectionReport {
  return {
    kind: 'sweep',
    ...countFiles(plan.objects),
    manifests: plan.manifests.length,
    logSegments: plan.log.length,
    jobObjects: plan.jobObjects.length,
    pins: plan.pins.length,
    uploads: plan.uploads.length,
  }
}

/** How many files there are of each kind, and their size. */
export function countFiles(
  files: readonly Pick<DataObject, 'kind' | 'sizeBytes'>[],
): Pick<CollectionReport, 'tables' | 'blobs' | 'bases' | 'sizeBytes'> {
  const counts = { table: 0, blob: 0, base: 0 }
  let sizeBytes = 0
  for (const file of files) {
    counts[file.kind]++
    sizeBytes += file.sizeBytes
  }
  return { tables: counts.table, blobs: counts.blob, bases: counts.base, sizeBytes }
}
