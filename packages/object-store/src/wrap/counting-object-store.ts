import { type Clock, systemClock } from '@moraine/base'
import { MAX_PAGE_KEYS } from '../call-options.ts'
import type { ObjectStore } from '../object-store.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { type RequestCounts, STORE_OPERATIONS, totalled } from './request-counts.ts'
import { type StoreCall, type StoreOperation, WrappedObjectStore } from './wrapped-object-store.ts'

interface Counter {
  calls: number
  requests: number
  errors: number
  bytesRead: number
  bytesWritten: number
  readonly latency: LatencyHistogram
}

/**
 * Counts what a store is asked: calls, requests, errors, bytes and latencies by operation. Below a
 * RetryingObjectStore it counts every try, above it every call.
 */
export class CountingObjectStore extends WrappedObjectStore {
  readonly #clock: Clock
  readonly #counters = new Map<StoreOperation, Counter>()

  constructor(inner: ObjectStore, options: { readonly clock?: Clock | undefined } = {}) {
    super(inner)
    this.#clock = options.clock ?? systemClock
    for (const operation of STORE_OPERATIONS) {
      this.#counters.set(operation, {
        calls: 0,
        requests: 0,
        errors: 0,
        bytesRead: 0,
        bytesWritten: 0,
        latency: new LatencyHistogram(),
      })
    }
  }

  /** Everything counted so far. Two snapshots give what lies between them: `subtractRequests(later, earlier)`. */
  snapshot(): RequestCounts {
    return totalled((operation) => {
      const counter = this.#counters.get(operation) as Counter
      return { ...counter, latency: counter.latency.counts() }
    })
  }

  protected override async around<T>(call: StoreCall, run: () => Promise<T>): Promise<T> {
    const counter = this.#counters.get(call.operation) as Counter
    const startMs = this.#clock.monotonicMs()
    try {
      const result = await run()
      if (call.operation === 'get') counter.bytesRead += (result as { bytes: Uint8Array } | undefined)?.bytes.length ?? 0
      return result
    } catch (error) {
      counter.errors++
      throw error
    } finally {
      counter.calls++
      counter.requests += this.#requestsOf(call)
      counter.bytesWritten += call.bodyBytes
      counter.latency.record(this.#clock.monotonicMs() - startMs)
    }
  }

  #requestsOf(call: StoreCall): number {
    const { multipart } = this.traits
    if (multipart !== undefined && !call.ifAbsent && call.bodyBytes >= multipart.thresholdBytes) {
      return Math.ceil(call.bodyBytes / multipart.partSizeBytes) + 2
    }
    return call.operation === 'deleteMany' ? Math.ceil(call.keyCount / MAX_PAGE_KEYS) : 1
  }
}
