import { type Clock, type Random, systemClock } from '@moraine/base'
import type { DbReader, JsonValue, Location } from 'moraine'
import { type Environment, openCheckpoint, type OpenCheckpoint, openFollower, openNewest, readRecord } from '../checkpoint/read-checkpoint.ts'
import type { CheckpointRecord } from '../checkpoint/checkpoint-record.ts'
import type { Codec } from '../codec/codec.ts'
import type {
  AggregatingDescriptor,
  ListDescriptor,
  MapDescriptor,
  ReducingDescriptor,
  StateDescriptor,
  StateKind,
  ValueDescriptor,
} from '../descriptor/descriptor.ts'
import type { KeyGroupRange } from '../key-group/key-group.ts'
import { KeySpace } from '../state/key-space.ts'
import { scannedState } from '../state/registered-state.ts'
import { BackendTime } from '../ttl/backend-time.ts'
import { describedKeyCodec, describedState } from './described-state.ts'
import { anything, checkOptions, text, withMethod } from '../descriptor/option-checks.ts'
import { StateReader } from './state-reader.ts'

/** Options of `openKeyedStateReader`. */
export interface KeyedStateReaderOptions<Key> {
  /** Default: what the database says, when that is a codec of this package. */
  readonly keyCodec?: Codec<Key>
  /** Id or name of a checkpoint, to stay at. Default: the newest, and newer ones with `refresh`. */
  readonly checkpoint?: string
  readonly clock?: Clock
  readonly random?: Random
}

/** The checkpoint that a reader is at. */
export interface ReadCheckpoint {
  readonly id: string
  readonly number: number
  readonly metadata: JsonValue
  readonly keyGroups: KeyGroupRange
  readonly watermark: number | undefined
  readonly states: readonly { readonly name: string; readonly kind: StateKind; readonly codec: string; readonly version: number }[]
}

/**
 * Opens the state of a job for reading, from any process, while the job runs: as it was at the last completed checkpoint. The
 * job is not disturbed. INVALID when there is no completed checkpoint.
 */
export async function openKeyedStateReader<Key = unknown>(
  location: Location,
  options: KeyedStateReaderOptions<Key> = {},
): Promise<KeyedStateReader<Key>> {
  checkOptions('openKeyedStateReader', options, { keyCodec: anything, checkpoint: text, clock: withMethod('nowMs'), random: withMethod('fill') })
  const { clock, random, checkpoint } = options
  const environment: Environment = { ...(clock !== undefined && { clock }), ...(random !== undefined && { random }) }
  if (checkpoint !== undefined) {
    return new KeyedStateReader(location, options, environment, undefined, await openCheckpoint(location, checkpoint, environment))
  }
  const follower = await openFollower(location, environment)
  try {
    return new KeyedStateReader(location, options, environment, follower, await openNewest(location, follower, environment))
  } catch (error) {
    await follower.close()
    throw error
  }
}

/** A view of keyed state at a completed checkpoint. Entries that have expired since are not shown. */
export class KeyedStateReader<Key> {
  readonly #location: Location
  readonly #options: KeyedStateReaderOptions<Key>
  readonly #environment: Environment
  readonly #follower: DbReader | undefined
  #current: OpenCheckpoint
  #keys: KeySpace<Key>
  #time: BackendTime

  /** Made by `openKeyedStateReader`. */
  constructor(
    location: Location,
    options: KeyedStateReaderOptions<Key>,
    environment: Environment,
    follower: DbReader | undefined,
    current: OpenCheckpoint,
  ) {
    this.#location = location
    this.#options = options
    this.#environment = environment
    this.#follower = follower
    this.#current = current
    this.#keys = this.#keySpace(current.record)
    this.#time = this.#timeOf(current.record)
  }

  get checkpoint(): ReadCheckpoint {
    const { checkpointId, record } = this.#current
    return {
      id: checkpointId,
      number: record.number,
      metadata: record.metadata,
      keyGroups: record.keyGroups,
      watermark: record.time.watermark,
      states: record.states.map(({ name, kind, codec, versions }) => ({ name, kind, codec, version: versions.at(-1) as number })),
    }
  }

  /** A state by its descriptor, or by its name alone when its codecs are of this package. INVALID when there is none. */
  state<T>(descriptor: ValueDescriptor<T> | ReducingDescriptor<T>): StateReader<Key, T, T, never>
  state<T>(descriptor: ListDescriptor<T>): StateReader<Key, T[], T, never>
  state<MapKey, T>(descriptor: MapDescriptor<MapKey, T>): StateReader<Key, T, T, MapKey>
  state<In, Acc, Out>(descriptor: AggregatingDescriptor<In, Acc, Out>): StateReader<Key, Out, Acc, never>
  state(name: string): StateReader<Key, unknown, unknown, unknown>
  state(asked: unknown): unknown {
    const descriptor = describedState(this.#current.record.states, asked as string | StateDescriptor)
    return new StateReader(descriptor, scannedState(descriptor, this.#time), () => ({ db: this.#current.reader, keys: this.#keys }))
  }

  /** Moves to the newest completed checkpoint; true when there was a newer one. A reader that was opened at one stays there. */
  async refresh(): Promise<boolean> {
    const follower = this.#follower
    if (follower === undefined) return false
    await follower.refresh()
    const record = await readRecord(follower)
    if (record === undefined || record.number === this.#current.record.number) return false
    const before = this.#current.reader
    const next = await openNewest(this.#location, follower, this.#environment)
    this.#keys = this.#keySpace(next.record)
    this.#time = this.#timeOf(next.record)
    this.#current = next
    await before.close()
    return true
  }

  async close(): Promise<void> {
    await Promise.all([this.#current.reader.close(), this.#follower?.close()])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #keySpace(record: CheckpointRecord): KeySpace<Key> {
    const codec = describedKeyCodec(record.keyCodec, this.#options.keyCodec) as Codec<Key>
    return new KeySpace(codec, record.keyGroups)
  }

  #timeOf(record: CheckpointRecord): BackendTime {
    const clock = this.#options.clock ?? systemClock
    return new BackendTime(() => clock.nowMs(), record.time)
  }
}
