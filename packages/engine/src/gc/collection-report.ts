import type { CollectionPlan } from './reachability.ts'

/** What a collection deleted, or would have. Sizes in bytes. */
export interface CollectionReport {
  /** `retired`: what this owner itself had replaced. `sweep`: everything that nothing refers to. */
  readonly kind: 'retired' | 'sweep'
  readonly tables: number
  readonly bases: number
  /** Bytes of tables and base objects. */
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
  const tables = plan.objects.filter(({ kind }) => kind === 'table').length
  return {
    kind: 'sweep',
    tables,
    bases: plan.objects.length - tables,
    sizeBytes: plan.objects.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0),
    manifests: plan.manifests.length,
    logSegments: plan.log.length,
    jobObjects: plan.jobObjects.length,
    pins: plan.pins.length,
    uploads: plan.uploads.length,
  }
}
