import { type Clock, systemClock } from '@moraine/base'
import { MAX_PAGE_KEYS } from '../call-options.ts'
import type { CallOptions, ObjectStore } from '../object-store.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import type { RequestAccount } from './request-account.ts'
import { type RequestCounts, STORE_OPERATIONS, totalled } from './request-counts.ts'
import type { RequestsByClass } from './request-tally.ts'
import { type StoreCall, type StoreOperation, WrappedObjectStore } from './wrapped-object-store.ts'

export interface CountingObjectStoreOptions {
  readonly clock?: Clock | undefined
  /** Charged for calls that name no account. */
  readonly unattributed?: RequestAccount | undefined
}

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
 * RetryingObjectStore it counts every try, above it every call. What a call takes is charged to its account as well.
 */
export class CountingObjectStore extends WrappedObjectStore {
  readonly #clock: Clock
  readonly #unattributed: RequestAccount | undefined
  readonly #counters = new Map<StoreOperation, Counter>()

  constructor(inner: ObjectStore, options: CountingObjectStoreOptions = {}) {
    super(inner)
    this.#clock = options.clock ?? systemClock
    this.#unattributed = options.unattributed
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
    const account = call.account ?? this.#unattributed
    const startMs = this.#clock.monotonicMs()
    let downloadedBytes = 0
    try {
      const result = await run()
      if (call.operation === 'get') downloadedBytes = (result as { bytes: Uint8Array } | undefined)?.bytes.length ?? 0
      return result
    } catch (error) {
      counter.errors++
      throw error
    } finally {
      counter.calls++
      const requests = this.#requestsOf(call)
      counter.requests += requests
      counter.bytesWritten += call.bodyBytes
      counter.bytesRead += downloadedBytes
      account?.charge({ requestClass: CLASSES[call.operation], requests, uploadedBytes: call.bodyBytes, downloadedBytes })
      counter.latency.record(this.#clock.monotonicMs() - startMs)
    }
  }

  /** Charged here and nowhere below: a caller's own store may count as well. */
  protected override passedOn<Options extends CallOptions>(options: Options | undefined): Options | undefined {
    return options?.account === undefined ? options : { ...options, account: undefined }
  }

  #requestsOf(call: StoreCall): number {
    const { multipart } = this.traits
    if (multipart !== undefined && !call.ifAbsent && call.bodyBytes >= multipart.thresholdBytes) {
      return Math.ceil(call.bodyBytes / multipart.partSizeBytes) + 2
    }
    return call.operation === 'deleteMany' ? Math.ceil(call.keyCount / MAX_PAGE_KEYS) : 1
  }
}

const CLASSES: Readonly<Record<StoreOperation, keyof RequestsByClass>> = {
  put: 'put',
  list: 'list',
  get: 'get',
  head: 'head',
  delete: 'delete',
  deleteMany: 'delete',
}
