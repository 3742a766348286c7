import { compareRanges, MoraineError } from '@moraine/base'
import type { Db, DbStats } from 'moraine'
import { type CheckpointOptions, type Checkpointer, type StateCheckpoint } from '../checkpoint/checkpointer.ts'
import type { ListedCheckpoint } from '../checkpoint/checkpoint-record.ts'
import type { Namespace } from '../codec/namespace-codec.ts'
import { checkDescriptor } from '../descriptor/check-descriptor.ts'
import type {
  AggregatingDescriptor,
  ListDescriptor,
  MapDescriptor,
  ReducingDescriptor,
  StateDescriptor,
  StateKind,
  ValueDescriptor,
} from '../descriptor/descriptor.ts'
import { keyGroupOf, type KeyGroupRange } from '../key-group/key-group.ts'
import type { AggregatingState } from '../state/aggregating-state.ts'
import { closedError } from '../state/gate.ts'
import type { KeyLanes } from '../state/key-lanes.ts'
import type { ListState } from '../state/list-state.ts'
import type { MapState } from '../state/map-state.ts'
import type { ReducingState } from '../state/reducing-state.ts'
import { makeState, type RegisteredState } from '../state/registered-state.ts'
import { SingleValueStates } from '../state/keyed-states.ts'
import type { StateHost } from '../state/state-host.ts'
import { scanEntries, settle, unknownState } from '../state/state-scan.ts'
import type { ValueState } from '../state/value-state.ts'
import { groupOf, HEAD_BYTES, stateKeyPrefix, statePrefix } from '../state-key/state-key.ts'
import type { Timer, TimerHandler } from '../timer/timer.ts'
import type { TimerService } from '../timer/timer-service.ts'
import { checkOptions, text, wholeNumber } from '../descriptor/option-checks.ts'
import type { Restored } from './restore-point.ts'

/** One entry of any state of a key. */
export interface KeyStateEntry {
  readonly state: string
  readonly kind: StateKind
  readonly namespace: Namespace | undefined
  /** Of maps. */
  readonly mapKey: unknown
  /** A value, an element of a list, a value of a map, an accumulator. */
  readonly value: unknown
}

/** A picture of a backend at one moment. */
export interface KeyedStateStats {
  readonly keyGroups: KeyGroupRange
  readonly watermark: number | undefined
  /** Calls and handlers that have begun and wait for something. */
  readonly inFlight: number
  readonly cache: { readonly entries: number; readonly sizeBytes: number; readonly changed: number; readonly evictions: number }
  readonly engine: DbStats
}

/** What timers are registered with. */
export interface Timers<Key> {
  onTimer(handler: TimerHandler<Key>): void
  register(timer: Timer<Key>): Promise<void>
  delete(timer: Timer<Key>): Promise<void>
}

export interface BackendParts<Key> {
  readonly host: StateHost<Key>
  readonly timers: TimerService<Key>
  readonly checkpointer: Checkpointer<Key>
  readonly lanes: KeyLanes<Key>
  readonly restored: Restored | undefined
  /** Ends what runs by itself. */
  readonly stop: () => void
}

/**
 * The keyed state of one parallel instance of an operator: states, timers and checkpoints, all of one moment. Nothing is
 * durable until a checkpoint has completed; opening goes back to the newest one. Every method that fails rejects with a
 * MoraineError; INVALID comes before anything has changed.
 */
export class KeyedStateBackend<Key> {
  /** What the backend was opened with; undefined for a new database. */
  readonly restored: Restored | undefined
  readonly timers: Timers<Key>
  readonly #parts: BackendParts<Key>
  readonly #host: StateHost<Key>
  readonly #states = new Map<string, RegisteredState<Key>>()
  #closing: Promise<void> | undefined

  /** Made by `openKeyedState`. */
  constructor(parts: BackendParts<Key>) {
    this.#parts = parts
    this.#host = parts.host
    this.restored = parts.restored
    const { timers } = parts
    this.timers = {
      onTimer: (handler) => timers.onTimer(handler),
      register: (timer) => timers.register(timer),
      delete: (timer) => timers.delete(timer),
    }
  }

  get keyGroups(): KeyGroupRange {
    return this.#host.keys.groups
  }

  /** Undefined before the first one. */
  get watermark(): number | undefined {
    return this.#host.time.watermark
  }

  /** The key group of a key, whether this backend holds it or not. */
  keyGroupOf(key: Key): number {
    return keyGroupOf(this.#host.keys.codec.encode(key), this.keyGroups.total)
  }

  /**
   * The state of a descriptor. Declaring a state again gives the same object. INVALID when what the database holds under the
   * name could not be read with it.
   */
  state<T>(descriptor: ValueDescriptor<T>): ValueState<Key, T>
  state<T>(descriptor: ListDescriptor<T>): ListState<Key, T>
  state<MapKey, T>(descriptor: MapDescriptor<MapKey, T>): MapState<Key, MapKey, T>
  state<T>(descriptor: ReducingDescriptor<T>): ReducingState<Key, T>
  state<In, Acc, Out>(descriptor: AggregatingDescriptor<In, Acc, Out>): AggregatingState<Key, In, Acc, Out>
  state(descriptor: unknown): unknown {
    this.#host.gate.ensureOpen()
    const described = descriptor as StateDescriptor
    checkDescriptor(described)
    const known = this.#states.get(described.name)
    if (known !== undefined) {
      if (known.descriptor === described || isSame(known.descriptor, described)) return known.state
      throw new MoraineError('INVALID', `state '${described.name}' is declared twice, in different ways: declare it once and share the state`)
    }
    this.#host.registry.register(described)
    const registered = makeState(this.#host, described)
    this.#states.set(described.name, registered)
    return registered.state
  }

  /** Brings the values of many keys into memory: of all value, reducing and aggregating states that have been declared. */
  async prefetch(keys: Iterable<Key>): Promise<void> {
    const list = [...keys]
    const states = [...this.#states.values()].flatMap(({ state }) => (state instanceof SingleValueStates ? [state] : []))
    await Promise.all(states.map((state) => (state as SingleValueStates<Key, unknown>).prefetch(list)))
  }

  /**
   * Runs a handler for a key: those of one key one after another, in the order of the calls, those of different keys at the
   * same time. A checkpoint that is called later waits for it.
   */
  process<R>(key: Key, handler: () => R | Promise<R>): Promise<R> {
    return this.#parts.lanes.run(key, handler)
  }

  /**
   * `process` for a stream of records: takes the next one as long as fewer than `maxInFlight` are under way, and resolves
   * when all have been handled. Rejects with the first failure, after what is under way has ended.
   */
  async processMany<T>(records: Iterable<T> | AsyncIterable<T>, keyOf: (record: T) => Key, handler: (record: T) => unknown): Promise<void> {
    const { lanes } = this.#parts
    const running = new Set<Promise<void>>()
    let failed: { readonly error: unknown } | undefined
    try {
      for await (const record of records) {
        const handled: Promise<void> = lanes
          .run(keyOf(record), () => handler(record))
          .then(
            () => {},
            (error: unknown) => {
              failed ??= { error }
            },
          )
          .finally(() => running.delete(handled))
        running.add(handled)
        if (running.size >= lanes.most) await Promise.race(running)
        if (failed !== undefined) break
      }
    } finally {
      await Promise.all(running)
    }
    if (failed !== undefined) throw failed.error
  }

  /** Everything that is stored for a key, of all states that have been declared, in all namespaces. */
  async *stateOfKey(key: Key): AsyncGenerator<KeyStateEntry> {
    const { keys, db } = this.#host
    const { group, bytes } = keys.place(key)
    const any = stateKeyPrefix(group, 0, bytes)
    await settle(this.#host, (cell) => isOfKey(cell.key, any))
    const snapshot = db.snapshot()
    try {
      for (const { scanned } of this.#states.values()) {
        for await (const entries of scanEntries(db, keys, scanned, stateKeyPrefix(group, scanned.stateId, bytes), snapshot)) {
          for (const { namespace, mapKey, value } of entries) yield { state: scanned.stateName, kind: scanned.kind, namespace, mapKey, value }
        }
      }
    } finally {
      snapshot.close()
    }
  }

  /** Moves the watermark and fires the event timers that are due, in the order of time; resolves when all have been handled. */
  advanceWatermark(ms: number): Promise<void> {
    return this.#parts.timers.advanceWatermark(ms)
  }

  /** Fires the processing timers that are due now, or at `ms`. By itself this happens as time goes by. */
  advanceProcessingTime(ms?: number): Promise<void> {
    return this.#parts.timers.advanceProcessingTime(ms)
  }

  /**
   * Makes state, timers, watermark and `metadata` durable as one, and resolves when they are. What was called before is part
   * of it, what is called after is not; the state stands still for a moment only. When it rejects, the job may go on.
   */
  checkpoint(options: CheckpointOptions = {}): Promise<StateCheckpoint> {
    try {
      checkOptions('checkpoint', options, { metadata: () => undefined, name: text, ttlMs: wholeNumber(1, 100 * 365 * 86_400_000) })
      return this.#parts.checkpointer.take(options)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The completed checkpoints, oldest first. */
  async checkpoints(): Promise<ListedCheckpoint[]> {
    this.#host.gate.ensureOpen()
    return (await this.#parts.checkpointer.list()).filter(({ number }) => number > 0)
  }

  /** By id or name. INVALID for the newest one. */
  async deleteCheckpoint(idOrName: string): Promise<void> {
    this.#host.gate.ensureOpen()
    await this.#parts.checkpointer.delete(idOrName)
  }

  /** Reads states from the store, so that later reads find them in memory; at most `maxBytes` of keys and values. */
  async warmUp({ states, maxBytes = Number.POSITIVE_INFINITY }: { states?: readonly string[]; maxBytes?: number } = {}): Promise<void> {
    this.#host.gate.ensureOpen()
    let left = maxBytes
    const known = this.#host.registry.list().map(({ name }) => name)
    for (const name of states ?? []) if (!known.includes(name)) throw unknownState(name, known)
    const wanted = this.#host.registry.list().filter(({ name }) => states === undefined || states.includes(name))
    for (let group = this.keyGroups.first; group <= this.keyGroups.last; group++) {
      for (const { id, separated } of wanted) {
        for await (const batch of this.#host.spaceOf(separated === true).scanBatches({ prefix: statePrefix(group, id) })) {
          for (const [key, value] of batch) left -= key.length + value.length
          if (left <= 0) return
        }
      }
    }
  }

  stats(): KeyedStateStats {
    const { keys, time, gate, cache, db } = this.#host
    return {
      keyGroups: keys.groups,
      watermark: time.watermark,
      inFlight: gate.inFlight,
      cache: { entries: cache.size, sizeBytes: cache.sizeBytes, changed: cache.dirtyCount, evictions: cache.evictions },
      engine: db.stats(),
    }
  }

  /** Ends everything, without a checkpoint: what was not in one is given up. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close(this.#host.db)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(db: Db): Promise<void> {
    this.#parts.stop()
    this.#host.gate.close(closedError())
    await db.close()
  }
}

/** Whether a state key begins like another one, the state aside. */
function isOfKey(stateKey: Uint8Array, other: Uint8Array): boolean {
  if (groupOf(stateKey) !== groupOf(other) || stateKey.length < other.length) return false
  return compareRanges(stateKey, HEAD_BYTES, other.length, other, HEAD_BYTES, other.length) === 0
}

/** Whether two descriptors say the same, functions aside. */
function isSame(a: StateDescriptor, b: StateDescriptor): boolean {
  const spell = (descriptor: StateDescriptor): string =>
    JSON.stringify({
      kind: descriptor.kind,
      codec: [descriptor.codec.name, descriptor.codec.version],
      version: descriptor.version ?? descriptor.codec.version,
      ttl: descriptor.ttl,
      separated: descriptor.separateLargeValues === true,
      keyCodec: descriptor.kind === 'map' ? descriptor.keyCodec.name : undefined,
    })
  return spell(a) === spell(b)
}
