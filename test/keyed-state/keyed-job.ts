// A job for tests: one or several backends that hold the key groups of one operator, and a plain model of what they hold.
import { type KeyedStateBackend, aggregatingState, float64, int64, json, keyGroupOf, type KeyedStateOptions, listState, mapState, openKeyedState, reducingState, utf8, valueState } from '@moraine/keyed-state'
import { utf8Encode } from '@moraine/base'
import type { MemoryObjectStore, OpenOptions } from 'moraine'

export const TOTAL = 16

/** So small that a few hundred writes reach tables and compactions; nothing happens by itself after a time. */
export const SMALL_ENGINE: OpenOptions = {
  memtableSizeBytes: 256 * 1024,
  blockSizeBytes: 1024,
  targetFileSizeBytes: 4 * 1024,
  levelBaseSizeBytes: 8 * 1024,
  levelSizeMultiplier: 2,
  level0CompactionTrigger: 2,
  level0StopTrigger: 12,
  workerThreads: 0,
  fenceCheckIntervalMs: 0,
  gcIntervalMs: 0,
}

export type Job = KeyedStateBackend<string>

export function openJob(store: MemoryObjectStore, prefix: string, options: Partial<KeyedStateOptions<string>> = {}): Promise<Job> {
  return openKeyedState({ store, prefix }, { keyCodec: utf8, engine: SMALL_ENGINE, ...options })
}

export const TTL_MS = 100

export interface Sums {
  n: number
  sum: number
}

/** One state of every kind, some in the keyspace of large values. */
export function states(job: Job) {
  return {
    count: job.state(valueState('count', { codec: int64 })),
    recent: job.state(valueState('recent', { codec: utf8, ttl: { ms: TTL_MS }, separateLargeValues: true })),
    touched: job.state(valueState('touched', { codec: utf8, ttl: { ms: TTL_MS, refresh: 'read-write', time: 'event' } })),
    log: job.state(listState('log', { codec: json<{ n: number }>() })),
    shortLog: job.state(listState('shortLog', { codec: float64, ttl: { ms: TTL_MS }, separateLargeValues: true })),
    seen: job.state(mapState('seen', { keyCodec: utf8, codec: float64, separateLargeValues: true })),
    brief: job.state(mapState('brief', { keyCodec: utf8, codec: float64, ttl: { ms: TTL_MS, time: 'event' } })),
    max: job.state(reducingState<number>('max', { codec: float64, reduce: (a, b) => Math.max(a, b) })),
    average: job.state(
      aggregatingState<number, Sums, number>('average', {
        codec: json<Sums>(),
        create: () => ({ n: 0, sum: 0 }),
        add: (sums, value) => {
          sums.n++
          sums.sum += value
          return sums
        },
        result: ({ n, sum }) => sum / n,
        merge: (a, b) => ({ n: a.n + b.n, sum: a.sum + b.sum }),
      }),
    ),
  }
}

export type States = ReturnType<typeof states>

export function groupOf(key: string): number {
  return keyGroupOf(utf8Encode(key), TOTAL)
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
