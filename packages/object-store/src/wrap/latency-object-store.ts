import { type Clock, type Random, sleep } from '@moraine/base'
import type { ObjectStore } from '../object-store.ts'
import { type StoreCall, WrappedObjectStore } from './wrapped-object-store.ts'

export interface LatencyObjectStoreOptions {
  readonly clock: Clock
  readonly random: Random
  /** Shortest and longest time of a call; drawn evenly between them. */
  readonly minMs: number
  readonly maxMs: number
  /** Added for each mebibyte that a put sends or a get brings. Default 0. */
  readonly perMebibyteMs?: number | undefined
}

const MEBIBYTE = 1024 * 1024

/**
 * A store as far away as a bucket. The call happens at a random moment within its time, so that concurrent calls
 * take effect in another order than they were made and than they are answered.
 */
export class LatencyObjectStore extends WrappedObjectStore {
  readonly #options: LatencyObjectStoreOptions

  constructor(inner: ObjectStore, options: LatencyObjectStoreOptions) {
    super(inner)
    this.#options = options
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    const { clock, random, minMs, maxMs, perMebibyteMs = 0 } = this.#options
    const totalMs = minMs + random.next() * (maxMs - minMs)
    const beforeMs = random.next() * totalMs
    await sleep(clock, beforeMs + (call.bodyBytes / MEBIBYTE) * perMebibyteMs, call.signal)
    const result = await run()
    const broughtBytes = call.operation === 'get' ? ((result as { bytes: Uint8Array } | undefined)?.bytes.length ?? 0) : 0
    await sleep(clock, totalMs - beforeMs + (broughtBytes / MEBIBYTE) * perMebibyteMs, call.signal)
    return result
  }
}
