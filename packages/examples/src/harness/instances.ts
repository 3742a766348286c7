import { MoraineError, type Random, randomHex } from '@moraine/base'
import { type KeyedStateBackend, type KeyedStateOptions, type KeyGroupRange, keyGroupOf, openKeyedState, type Timer } from '@moraine/keyed-state'
import type { JsonValue, Location } from 'moraine'
import { instanceLocation } from './instance-location.ts'
import type { Job, OutputSink, ProcessFunction } from './job.ts'
import { followerName, isFollowerName, type Position, positionMetadata, restoredPosition } from './position.ts'
import { RowLine } from './row-line.ts'

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
  readonly line: RowLine
  readonly operator: ProcessFunction<In, Key>
}

interface Opened<Key> {
  readonly opened: readonly { readonly backend: KeyedStateBackend<Key>; readonly line: RowLine }[]
  readonly restored: Position | undefined
  readonly own: boolean
}

/**
 * The parallel instances of a job's operator, all in this process, each with its share of the key groups. A checkpoint is of
 * all of them or it is none. The first instance, the leader, says which one that is:
 *
 *   taking    Every instance stands still for a moment; no record is processed until all have. The leader does last, and its
 *             checkpoint is not written before those of the others are complete, so that there is one of the leader only
 *             where there are the others'. The sinks are the leader's: what they commit belongs to a checkpoint of all.
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

  static async open<In, Key>(job: Job<In, Key>, options: InstancesOptions): Promise<Instances<In, Key>> {
    const { location, parallelism, sinks, state, random, onError } = options
    const opened: { backend: KeyedStateBackend<Key>; line: RowLine }[] = []
    const openOne = async (checkpoint?: string): Promise<KeyedStateBackend<Key>> => {
      const index = opened.length
      const line = new RowLine()
      const backend = await openKeyedState(instanceLocation(location, index), {
        ...state,
        keyCodec: job.keyCodec,
        keyGroups: groupsOf(index, parallelism),
        // The line first: the rows it passes on go with the sinks' present transaction.
        sinks: index === 0 ? [line, ...sinks] : [line],
        ...(checkpoint !== undefined && { checkpoint }),
        random,
        onError,
      })
      opened.push({ backend, line })
      return backend
    }
    try {
      const leader = await openOne()
      const restored = restoredPosition(leader.restored)
      // A rescaled job has not taken a checkpoint of its own yet, and then there is only one to open.
      const own = restored !== undefined && leader.restored?.sources.length === 0
      while (opened.length < parallelism) await openOne(own ? followerName(restored) : undefined)
      return new Instances(job, options, { opened, restored, own })
    } catch (error) {
      await Promise.allSettled(opened.map(({ backend }) => backend.close()))
      throw error
    }
  }

  private constructor(job: Job<In, Key>, options: InstancesOptions, { opened, restored, own }: Opened<Key>) {
    this.restored = restored
    this.hasOwnCheckpoint = own
    this.#job = job
    this.#random = options.random
    const sinks = new Map(options.sinks.map((sink) => [sink.name, sink]))
    this.#instances = opened.map(({ backend, line }) => {
      const emit = (output: string, row: JsonValue): void => {
        const sink = sinks.get(output)
        if (sink === undefined) throw new MoraineError('INVALID', `the job has no sink '${output}': give it one, with that name`)
        line.add(sink, row)
      }
      const operator = job.open({ state: backend, emit })
      const onTimer = (timer: Timer<Key>): void | Promise<void> => operator.onTimer?.(timer)
      // Event timers fire between rounds, when nothing else runs. Processing timers take their turn among their key's records.
      backend.timers.onTimer((timer) => (timer.domain === 'event' ? onTimer(timer) : backend.process(timer.key, () => onTimer(timer))))
      return { backend, line, operator }
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
   * Begins a checkpoint, between two rounds and after the one before has ended. Resolves when every instance has stood still:
   * then the job can go on. `complete` resolves when the checkpoint is stored.
   */
  async checkpoint(position: Omit<Position, 'id'>): Promise<{ readonly complete: Promise<void> }> {
    const id = randomHex(this.#random, 8)
    const metadata = positionMetadata({ ...position, id })
    const name = followerName({ id })
    const [leader, ...rest] = this.#instances as [Instance<In, Key>, ...Instance<In, Key>[]]
    const begun = rest.map(({ backend, line }) => begin(line, Promise.resolve(), () => backend.checkpoint({ name, metadata })))
    await Promise.all(begun.map(({ drawn }) => drawn))
    const others = Promise.all(begun.map(({ taken }) => taken))
    // The leader's checkpoint fails with it; when that fails before it has come to this, nobody asks for it.
    others.catch(() => {})
    const { drawn, taken } = begin(leader.line, others, () => leader.backend.checkpoint({ metadata }))
    await drawn
    return { complete: taken.then(() => this.#deleteOld(name)) }
  }

  async #deleteOld(newest: string): Promise<void> {
    for (const { backend } of this.#instances.slice(1)) {
      for (const old of await backend.checkpoints()) {
        if (isFollowerName(old.name) && old.name !== newest) await backend.deleteCheckpoint(old.id)
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

/** Begins the checkpoint of one instance. `drawn` also ends, with the failure, when it never comes to stand still. */
function begin(line: RowLine, holdBack: Promise<unknown>, take: () => Promise<unknown>): { drawn: Promise<unknown>; taken: Promise<unknown> } {
  const drawn = line.next(holdBack)
  const taken = take()
  // Whoever waits for either hears of a failure; while only one is waited for, the other must not count as unhandled.
  taken.catch(() => {})
  return { drawn: Promise.race([drawn, taken]), taken }
}

async function processAll<In, Key>({ backend, operator }: Instance<In, Key>, records: readonly In[], keyOf: (record: In) => Key): Promise<void> {
  await backend.processMany(records, keyOf, (record) => operator.process(record))
}

/** The key groups of instance `index`, as `rescaleKeyedState` deals them out. */
function groupsOf(index: number, parallelism: number): KeyGroupRange {
  const from = (i: number): number => Math.ceil((i * KEY_GROUPS) / parallelism)
  return { total: KEY_GROUPS, first: from(index), last: from(index + 1) - 1 }
}
