import { type Clock, isMoraineError, MoraineError, type Random } from '@moraine/base'
import { clone, type CloneSourceSpec, type Db, type DbReader, type Location, open, type OpenOptions, type ScanOptions } from 'moraine'
import { anything, checkOptions, text, withMethod } from '../descriptor/option-checks.ts'
import type { KeyGroupRange } from '../key-group/key-group.ts'
import { RECORD_KEY } from '../state/engine-writer.ts'
import { groupPrefix } from '../state-key/state-key.ts'
import { decodeRecord } from './checkpoint-record.ts'
import { putCheckpoint } from './put-checkpoint.ts'
import { type Environment, openCheckpoint, openFollower } from './read-checkpoint.ts'
import { planRescale, type RescaleSource, type RescaleTarget } from './rescale-plan.ts'

/** A database to take state from. */
export interface RescaleSourceSpec {
  readonly location: Location
  /** Id or name; default: the newest completed one. */
  readonly checkpoint?: string
}

export interface RescaleOptions {
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly random?: Random
}

/** What became of one target. */
export interface RescaledTarget {
  readonly keyGroups: KeyGroupRange
  /** False when an earlier run had finished it already. */
  readonly made: boolean
}

/**
 * Distributes the state of several databases over others by key groups: target i of n gets the groups from ceil(i * total / n)
 * to ceil((i + 1) * total / n) - 1, with their timers. Nothing is copied: a target refers to the tables of its sources (see
 * docs/clones.md). The sources must hold every key group once; they are not changed, and their job should have been stopped,
 * because what it does after the checkpoints is not in the targets.
 *
 * For every target:
 *
 *   1. Clone the ranges out of the sources' checkpoints. The target's first manifest has all its state, and no record, because
 *      that belongs to no key group.
 *   2. Open it, and write its record together with a checkpoint: one commit. Now it can be opened.
 *
 * Between the two it is refused by everything else. When a run is cut off, another one with the same sources, checkpoints and
 * targets goes on where it stopped, and leaves alone what is finished, also when a job has begun to use it.
 */
export async function rescaleKeyedState(
  sources: readonly (RescaleSourceSpec | Location)[],
  targets: readonly Location[],
  options: RescaleOptions = {},
): Promise<RescaledTarget[]> {
  if (!Array.isArray(sources) || !Array.isArray(targets)) throw new MoraineError('INVALID', 'rescaleKeyedState takes a list of sources and a list of targets')
  checkOptions('rescaleKeyedState', options, { signal: anything, clock: withMethod('nowMs'), random: withMethod('fill') })
  const { clock, random } = options
  const environment: Environment = { ...(clock !== undefined && { clock }), ...(random !== undefined && { random }) }
  const specs = sources.map((source: RescaleSourceSpec | Location): RescaleSourceSpec =>
    typeof source === 'object' && 'location' in source ? source : { location: source },
  )
  for (const spec of specs) checkOptions('a source of rescaleKeyedState', spec, { location: anything, checkpoint: text })
  const read = await Promise.all(specs.map((spec) => readSource(spec, environment)))
  const plan = planRescale(read, targets.length)
  const rescaled: RescaledTarget[] = []
  const next = plan.entries()
  const worker = async (): Promise<void> => {
    for (const [i, target] of next) {
      const made = await makeTarget(target, specs, read, targets[i] as Location, environment, options.signal)
      rescaled[i] = { keyGroups: target.record.keyGroups, made }
    }
  }
  const outcomes = await Promise.allSettled(Array.from({ length: TARGETS_AT_ONCE }, worker))
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return rescaled
}

const TARGETS_AT_ONCE = 4

/** Nothing but the one commit: what is borrowed stays borrowed, which is how an unfinished target is known. */
const IDLE_ENGINE: OpenOptions = {
  wal: 'none',
  createIfMissing: false,
  workerThreads: 0,
  level0CompactionTrigger: 1_000,
  level0StopTrigger: 10_000,
  levelBaseSizeBytes: 1024 ** 4,
  compactionTombstonePercent: 0,
  gcIntervalMs: 0,
}

async function readSource({ location, checkpoint }: RescaleSourceSpec, environment: Environment): Promise<RescaleSource> {
  const { reader, checkpointId, record } = await openCheckpoint(location, checkpoint, environment)
  const { databaseId } = reader.stats()
  await reader.close()
  return { databaseId, checkpointId, record }
}

async function makeTarget(
  { parts, record }: RescaleTarget,
  specs: readonly RescaleSourceSpec[],
  sources: readonly RescaleSource[],
  location: Location,
  environment: Environment,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const found = await lookAt(location, record.keyGroups, environment)
  if (found === record.rescale) return false
  const ranges = parts.map(({ source, first, last }): CloneSourceSpec => ({
    location: (specs[source] as RescaleSourceSpec).location,
    checkpoint: (sources[source] as RescaleSource).checkpointId,
    range: { gte: groupPrefix(first), lt: groupPrefix(last + 1) },
  }))
  let refusal: unknown
  try {
    await clone(ranges, location, { ...environment, ...(signal !== undefined && { signal }) })
  } catch (error) {
    // A run that was cut off after it had opened the target leaves more than a first manifest.
    if (found !== 'unfinished' || !isMoraineError(error, 'INVALID')) throw error
    refusal = error
  }
  const db = await open(location, { ...IDLE_ENGINE, ...environment })
  try {
    if (refusal !== undefined && !(await isUnfinished(db))) throw refusal
    await putCheckpoint(db, record)
  } finally {
    await db.close()
  }
  return true
}

/**
 * What is at a target: the plan that it was made by, something that may be an unfinished one, or (undefined) nothing to speak
 * of. By reading only: whoever owns a database that is none of ours must not be fenced.
 */
async function lookAt(location: Location, groups: KeyGroupRange, environment: Environment): Promise<string | undefined> {
  let reader: DbReader
  try {
    reader = await openFollower(location, environment)
  } catch (error) {
    // There is no database, or half a clone: `clone` knows what to do with either.
    if (isMoraineError(error, 'INVALID')) return undefined
    throw error
  }
  try {
    const bytes = await reader.get(RECORD_KEY)
    if (bytes !== undefined) return decodeRecord(bytes).rescale
    const isOurs = (await isEmpty(reader, { lt: groupPrefix(groups.first) })) && (await isEmpty(reader, { gte: groupPrefix(groups.last + 1) }))
    return isOurs ? 'unfinished' : undefined
  } finally {
    await reader.close()
  }
}

/** Whether a database whose keys are in the range has been cloned and nothing else. */
async function isUnfinished(db: Db): Promise<boolean> {
  if ((await db.checkpoints()).length > 0 || (await db.get(RECORD_KEY)) !== undefined) return false
  return db.stats().borrowed.length > 0 || (await isEmpty(db, {}))
}

async function isEmpty(source: Db | DbReader, range: ScanOptions): Promise<boolean> {
  for await (const _ of source.scan({ ...range, limit: 1 })) return false
  return true
}
