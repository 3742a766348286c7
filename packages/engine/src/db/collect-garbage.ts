import { type CallLimits, type Clock, type Random, systemClock, systemRandom } from '@moraine/base'
import { PrefixedObjectStore, RetryingObjectStore } from '@moraine/object-store'
import { type CollectionReport, reportOf } from '../gc/collection-report.ts'
import { deleteGarbage, planGarbage } from '../gc/collector.ts'
import type { CollectionPlan } from '../gc/reachability.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { limitChecks, underLimits } from './call-options.ts'
import { type Location, resolveLocation } from './open.ts'
import { DEFAULT_GRACE_MS } from './open-options.ts'
import { booleanOption, checkOptions, integerOption, objectOption, type OptionChecks } from './option-checks.ts'

export interface CollectGarbageOptions extends CallLimits {
  /** Only say what would be deleted. */
  readonly dryRun?: boolean
  /** Files younger than this, by the store's clock, stay; default 15 minutes. Prudence: nothing in use is ever deleted. */
  readonly graceMs?: number
  /** Delete even when that is more than half of the files. */
  readonly force?: boolean
  /** Called with the plan before anything is deleted. */
  readonly onPlan?: (plan: CollectionPlan) => void
  readonly clock?: Clock
  readonly random?: Random
}

/** What was decided, and how much of it was deleted (with `dryRun`: would be). */
export interface CollectGarbageResult extends CollectionReport {
  readonly dryRun: boolean
  readonly plan: CollectionPlan
}

const checks: OptionChecks<CollectGarbageOptions> = {
  dryRun: booleanOption,
  graceMs: integerOption(0, 365 * 86_400_000),
  force: booleanOption,
  onPlan: (value) => (typeof value === 'function' ? undefined : 'a function'),
  ...limitChecks,
  clock: objectOption('nowMs'),
  random: objectOption('fill'),
}

/**
 * Deletes what no manifest, checkpoint or pin of a database needs any more: files of crashed processes, superseded
 * manifests, lapsed leases, unfinished uploads. May run at any time, next to the writer and to other collections; files
 * of the writer's own epoch are left to the writer. CONFLICT when the plan looks wrong (see `force`).
 */
export async function collectGarbage(location: Location, options: CollectGarbageOptions = {}): Promise<CollectGarbageResult> {
  checkOptions('collectGarbage', options, checks)
  const { site, owned } = resolveLocation(location)
  const { dryRun = false, force = false, graceMs = DEFAULT_GRACE_MS } = options
  const retry = { clock: options.clock ?? systemClock, random: options.random ?? systemRandom }
  const store = new PrefixedObjectStore(new RetryingObjectStore(site.root, retry), site.prefix)
  const manifests = new ManifestStore(store, retry)
  try {
    return await underLimits('collectGarbage', options, retry.clock, async (signal) => {
      const plan = await planGarbage({ store, manifests, rules: { graceMs, force }, signal })
      options.onPlan?.(plan)
      if (!dryRun) await deleteGarbage(plan, { store, manifests, signal })
      return { ...reportOf(plan), dryRun, plan }
    })
  } finally {
    if (owned) await site.root.close()
  }
}
