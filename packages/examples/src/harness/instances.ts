import { MoraineError, type Random, randomHex } from '@moraine/base'
import { type KeyedStateBackend, type KeyedStateOptions, type KeyGroupRange, keyGroupOf, openKeyedState, type Sink } from '@moraine/keyed-state'
import type { Location } from 'moraine'
import { instanceLocation } from './instance-location.ts'
import type { Job, OutputSink, ProcessFunction } from './job.ts'
import { followerName, isFollowerName, type Position, positionMetadata, restoredPosition } from './position.ts'

/** Settings of the keyed state that a caller may have an opinion on. */
export type StateOptions = Pick<
  KeyedStateOptions<unknown>,
  'cacheEntries' | 'cacheSizeBytes' | 'maxInFlight' | 'retainCheckpoints' | 'engine' | 'ttlClock' | 'clock'
>

export interface InstancesOptions {
  readonly location: Location
  readonly parallelism: number
  readonly sinks: readonly OutputSink[]
  readonly state: StateOptions
  readonly random: Random
  readonly onError: (error: unknown) => void
}

const KEY_GROUPS = 128

interface Instance<In, Key> {
  readonly backend: KeyedStateBackend<Key>
  readonly operator: ProcessFunction<In, Key>
}

interface Opened<Key> {
  readonly backends: readonly KeyedStateBackend<Key>[]
  readonly followers: FollowersSink
  readonly restored: Position | undefined
  readonly own: boolean
}

/**
 * The parallel instances of a job's operator, all in this process, each with its share of the key groups. A checkpoint is of
 * all of them or it is none. The first instance, the leader, says which one that is:
 *
 *   taking    All stand still in the same moment, because nothing is under way between two rounds. The leader's checkpoint
 *             waits for those of the others before it is written: they are its sinks, in the words of a two-phase commit. So
 *             a checkpoint of the leader is there only when those of the others are. The rows' sinks are the leader's, too.
 *   opening   The leader opens its newest checkpoint, and by that fences off whoever had the job open. The others open
 *             the one that has the leader's name for it, though they may hold a newer one.
 *
 * Before the first record there is a checkpoint, so that the leader's always names one. Those of the others have names, which
 * the state backend never deletes by itself: they go when the leader has a newer one.
 */
export class Instances<In, Key> {
  /** Undefined until a job has taken its first checkpoint. */
  readonly restored: Position | undefined
  /** False when the newest checkpoint is not the instances' own: of a new job, or one that was rescaled. */
  readonly hasOwnCheckpoint: boolean
  readonly #job: Job<In, Key>
  readonly #random: Random
  readonly #instances: readonly Instance<In, Key>[]
  readonly #followers: FollowersSink

  static async open<In, Key>(job: Job<In, Key>, options: InstancesOptions): Promise<Instances<In, Key>> {
    const { location, parallelism, sinks, state, random, onError } = options
    const backends: KeyedStateBackend<Key>[] = []
    const followers = new FollowersSink()
    const openOne = async (index: number, more: { checkpoint?: string; sinks?: readonly Sink[] }): Promise<KeyedStateBackend<Key>> => {
      const shared = { ...state, keyCodec: job.keyCodec, keyGroups: groupsOf(index, parallelism), random, onError }
      const backend = await openKeyedState(instanceLocation(location, index), { ...shared, ...more })
      backends.push(backend)
      return backend
    }
    try {
      const leader = await openOne(0, { sinks: [...sinks, followers] })
      const restored = restoredPosition(leader.restored)
      // A rescaled job has not taken a checkpoint of its own yet, and then there is only one to open.
      const own = restored !== undefined && leader.restored?.sources.length === 0
      for (let index = 1; index < parallelism; index++) await openOne(index, own ? { checkpoint: followerName(restored) } : {})
      return new Instances(job, options, { backends, followers, restored, own })
    } catch (error) {
      await Promise.allSettled(backends.map((backend) => backend.close()))
      throw error
    }
  }

  private constructor(job: Job<In, Key>, options: InstancesOptions, { backends, followers, restored, own }: Opened<Key>) {
    this.restored = restored
    this.hasOwnCheckpoint = own
    this.#job = job
    this.#random = options.random
    this.#followers = followers
    const sinks = new Map(options.sinks.map((sink) => [sink.name, sink]))
    const emit: Parameters<Job<In, Key>['open']>[0]['emit'] = (output, row) => {
      const sink = sinks.get(output)
      if (sink === undefined) throw new MoraineError('INVALID', `the job has no sink '${output}': give it one, with that name`)
      sink.write(row)
    }
    this.#instances = backends.map((backend) => {
      const operator = job.open({ state: backend, emit })
      backend.timers.onTimer((timer) => operator.onTimer?.(timer))
      return { backend, operator }
    })
  }

  get watermark(): number | undefined {
    return this.#instances[0]?.backend.watermark
  }

  /** Processes records, many keys at a time; resolves when all have been. */
  async process(records: readonly In[]): Promise<void> {
    const { keyOf } = this.#job
    const [only] = this.#instances
    if (this.#instances.length === 1) return await processAll(only as Instance<In, Key>, records, keyOf)
    const shares = this.#instances.map((): In[] => [])
    for (const record of records) shares[this.#instanceOf(keyOf(record))]?.push(record)
    await Promise.all(this.#instances.map((instance, i) => processAll(instance, shares[i] as In[], keyOf)))
  }

  async advanceWatermark(ms: number): Promise<void> {
    await Promise.all(this.#instances.map(({ backend }) => backend.advanceWatermark(ms)))
  }

  /**
   * Takes a checkpoint of what the instances are in this very moment, and resolves when it is complete. Nothing may be under
   * way, and the one before must have ended; afterwards the job can go on at once.
   */
  async checkpoint(position: Omit<Position, 'id'>): Promise<void> {
    const id = randomHex(this.#random, 8)
    const name = followerName({ id })
    const metadata = positionMetadata({ ...position, id })
    const [leader, ...rest] = this.#instances.map(({ backend }) => backend)
    // Every call draws its line at once; only then is anything waited for.
    this.#followers.ready = Promise.all(rest.map((backend) => backend.checkpoint({ name, metadata })))
    await (leader as KeyedStateBackend<Key>).checkpoint({ metadata })
    for (const backend of rest) {
      for (const old of await backend.checkpoints()) {
        if (isFollowerName(old.name) && old.name !== name) await backend.deleteCheckpoint(old.id)
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#instances.map(({ backend }) => backend.close()))
  }

  #instanceOf(key: Key): number {
    const group = keyGroupOf(this.#job.keyCodec.encode(key), KEY_GROUPS)
    return Math.floor((group * this.#instances.length) / KEY_GROUPS)
  }
}

/** Takes part in the leader's checkpoints and holds each back until those of the others are complete. Nothing to commit. */
class FollowersSink implements Sink {
  readonly name = 'instances'
  ready: Promise<unknown> = Promise.resolve()

  async prepare(): Promise<undefined> {
    await this.ready
  }

  commit(): void {}
}

async function processAll<In, Key>({ backend, operator }: Instance<In, Key>, records: readonly In[], keyOf: (record: In) => Key): Promise<void> {
  await backend.processMany(records, keyOf, (record) => operator.process(record))
}

/** The key groups of instance `index`, as `rescaleKeyedState` deals them out. */
function groupsOf(index: number, parallelism: number): KeyGroupRange {
  const from = (i: number): number => Math.ceil((i * KEY_GROUPS) / parallelism)
  return { total: KEY_GROUPS, first: from(index), last: from(index + 1) - 1 }
}
