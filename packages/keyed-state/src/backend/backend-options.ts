import { type Clock, MoraineError, type Random, systemClock } from '@moraine/base'
import type { OpenOptions } from 'moraine'
import type { Sink } from '../checkpoint/sink.ts'
import type { Codec } from '../codec/codec.ts'
import { checkCodec } from '../descriptor/check-descriptor.ts'
import { checkKeyGroups, type KeyGroupRange } from '../key-group/key-group.ts'
import { anything, checkOptions, type OptionChecks, someFunction, text, wholeNumber, withMethod } from '../descriptor/option-checks.ts'
import { DEFAULT_LARGE_VALUE_BYTES, LARGE_VALUES } from '../state/large-values.ts'

/** Settings of the engine below. The write-ahead log, compaction filter, clock and random are the backend's. */
export type EngineOptions = Omit<OpenOptions, 'wal' | 'compactionFilter' | 'clock' | 'random'>

/** Options of `openKeyedState`. Sizes are in bytes, times in milliseconds. */
export interface KeyedStateOptions<Key> {
  /** What keys are made of; has to stay the same for the life of a database. */
  readonly keyCodec: Codec<Key>
  /** Which key groups this database holds. Default: what it holds already, or all of 128 when it is new. */
  readonly keyGroups?: KeyGroupRange
  /** Id or name of the checkpoint to go on from. Default: the newest. */
  readonly checkpoint?: string
  /** Time for TTL and processing timers, milliseconds since the Unix epoch. Default: the clock's. */
  readonly ttlClock?: (() => number) | { nowMs(): number }
  /** Values kept in memory, decoded; default 100,000. */
  readonly cacheEntries?: number
  /** What they may take, roughly; default 128 MiB. */
  readonly cacheSizeBytes?: number
  /** Handlers of `process` that run at once; default 1,000. */
  readonly maxInFlight?: number
  /** Checkpoints without a name that stay; default 3. */
  readonly retainCheckpoints?: number
  /**
   * Let compactions remove what has expired; default true. They run on the calling thread then, in slices, and look at every
   * value, also those in blob files. False where no state has a TTL; expired entries are hidden all the same, and stay.
   */
  readonly removeExpired?: boolean
  /** From this size on, values of states with `separateLargeValues` go to blob files; default 16 KiB. At least 256. May change. */
  readonly largeValueBytes?: number
  /** What takes part in checkpoints. */
  readonly sinks?: readonly Sink[]
  /** Told of what failed without a call to fail: commits of sinks, handlers of processing timers, background work of the engine. */
  readonly onError?: (error: unknown) => void
  readonly engine?: EngineOptions
  /** Time source of everything else; a simulation passes its own. */
  readonly clock?: Clock
  /** Source of randomness; a simulation passes its own. */
  readonly random?: Random
}

const MIB = 1024 * 1024

const checks: OptionChecks<KeyedStateOptions<never>> = {
  keyCodec: anything,
  keyGroups: anything,
  checkpoint: text,
  ttlClock: (value) => (someFunction(value) === undefined || withMethod('nowMs')(value) === undefined ? undefined : 'a function, or an object with a method nowMs()'),
  cacheEntries: wholeNumber(1, 2 ** 31),
  cacheSizeBytes: wholeNumber(1, 2 ** 40),
  maxInFlight: wholeNumber(1, 1_000_000),
  retainCheckpoints: wholeNumber(1, 1_000),
  removeExpired: (value) => (typeof value === 'boolean' ? undefined : 'true or false'),
  largeValueBytes: wholeNumber(256, 1024 * MIB),
  sinks: sinkList,
  onError: someFunction,
  engine: anything,
  clock: withMethod('nowMs'),
  random: withMethod('fill'),
}

/** The options with their defaults. */
export interface BackendSettings<Key> {
  readonly keyCodec: Codec<Key>
  readonly keyGroups: KeyGroupRange | undefined
  readonly checkpoint: string | undefined
  readonly processingNow: () => number
  /** Whether processing time is the caller's, which may stand still or jump. */
  readonly foreignTime: boolean
  readonly cacheEntries: number
  readonly cacheSizeBytes: number
  readonly maxInFlight: number
  readonly retainCheckpoints: number
  readonly removeExpired: boolean
  readonly largeValueBytes: number
  readonly sinks: readonly Sink[]
  readonly onError: (error: unknown) => void
  readonly engine: EngineOptions
  readonly clock: Clock
  readonly random: Random | undefined
}

/** INVALID for options that could not work. */
export function backendSettings<Key>(options: KeyedStateOptions<Key>): BackendSettings<Key> {
  checkOptions('openKeyedState', options, checks as unknown as OptionChecks<KeyedStateOptions<Key>>)
  checkCodec(options.keyCodec, 'option keyCodec of openKeyedState')
  if (options.keyGroups !== undefined) checkKeyGroups(options.keyGroups)
  if (Object.hasOwn(options.engine?.keyspaces ?? {}, LARGE_VALUES)) throw new MoraineError('INVALID', `the keyspace '${LARGE_VALUES}' is the backend's own`)
  for (const name of ['wal', 'compactionFilter', 'clock', 'random']) {
    if (Object.hasOwn(options.engine ?? {}, name)) throw new MoraineError('INVALID', `'${name}' is no option of the engine here: the backend sets it`)
  }
  const clock = options.clock ?? systemClock
  const { ttlClock } = options
  return {
    keyCodec: options.keyCodec,
    keyGroups: options.keyGroups,
    checkpoint: options.checkpoint,
    processingNow: ttlClock === undefined ? () => clock.nowMs() : typeof ttlClock === 'function' ? ttlClock : () => ttlClock.nowMs(),
    foreignTime: ttlClock !== undefined,
    cacheEntries: options.cacheEntries ?? 100_000,
    cacheSizeBytes: options.cacheSizeBytes ?? 128 * MIB,
    maxInFlight: options.maxInFlight ?? 1_000,
    retainCheckpoints: options.retainCheckpoints ?? 3,
    removeExpired: options.removeExpired ?? true,
    largeValueBytes: options.largeValueBytes ?? DEFAULT_LARGE_VALUE_BYTES,
    sinks: options.sinks ?? [],
    onError: options.onError ?? (() => {}),
    engine: options.engine ?? {},
    clock,
    random: options.random,
  }
}

function sinkList(value: unknown): string | undefined {
  const wanted = 'a list of sinks { name, prepare, commit, abortUnknown? } with different names'
  if (!Array.isArray(value)) return wanted
  const names = new Set<unknown>()
  for (const sink of value as Partial<Sink>[]) {
    const fine = typeof sink?.name === 'string' && sink.name !== '' && typeof sink.prepare === 'function' && typeof sink.commit === 'function'
    if (!fine || names.has(sink.name)) return wanted
    names.add(sink.name)
  }
  return undefined
}

