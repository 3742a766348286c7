// Invariant: what is counted is what the store was asked, and the difference of two snapshots is what lies between.
import { type Clock, systemClock, utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../memory/memory-object-store.ts'
import { CountingObjectStore } from './counting-object-store.ts'
import { FaultyObjectStore } from './faulty-object-store.ts'
import { LatencyHistogram, latencyQuantileMs } from './latency-histogram.ts'
import { estimateDollars, subtractRequests } from './request-counts.ts'
import { FREE_PRICES, S3_STANDARD_PRICES } from './price-table.ts'

describe('CountingObjectStore', () => {
  it('counts calls, bytes, errors and latencies by operation', async () => {
    let nowMs = 0
    const clock: Clock = { ...systemClock, monotonicMs: () => (nowMs += 4) }
    const faulty = new FaultyObjectStore(new MemoryObjectStore(), (_, key) => (key === 'bad' ? { kind: 'fail' } : undefined), { clock })
    const store = new CountingObjectStore(faulty, { clock })
    await store.put('a', [utf8Encode('12345'), utf8Encode('67')])
    const before = store.snapshot()
    await store.get('a')
    await store.get('a', { range: { offset: 1, length: 2 } })
    await store.get('absent')
    await expect(store.get('bad')).rejects.toThrow()
    await store.deleteMany(Array.from({ length: 2_001 }, (_, i) => `d${i}`))
    const counts = subtractRequests(store.snapshot(), before)
    expect(before.operations.put).toMatchObject({ calls: 1, requests: 1, bytesWritten: 7 })
    expect(counts.operations.put.calls).toBe(0)
    expect(counts.operations.get).toMatchObject({ calls: 4, requests: 4, errors: 1, bytesRead: 9 })
    expect(counts.operations.deleteMany).toMatchObject({ calls: 1, requests: 3 })
    expect(counts).toMatchObject({ requests: 7, errors: 1, bytesRead: 9, bytesWritten: 0 })
    expect(latencyQuantileMs(counts.operations.get.latency, 0.5)).toBe(4)
    expect(counts.operations.get.latency.totalMs).toBe(16)
  })

  it('counts the requests of a multipart upload', async () => {
    const inner = new MemoryObjectStore()
    Object.assign(inner, { traits: { orderedList: true, multipart: { thresholdBytes: 100, partSizeBytes: 40 } } })
    const store = new CountingObjectStore(inner)
    await store.put('small', new Uint8Array(99))
    await store.put('large', new Uint8Array(121))
    await store.put('conditional', new Uint8Array(121), { ifAbsent: true })
    expect(store.snapshot().operations.put.requests).toBe(1 + (4 + 2) + 1)
  })

  it('estimates dollars at list prices', async () => {
    const store = new CountingObjectStore(new MemoryObjectStore())
    for (let i = 0; i < 10; i++) await store.put('a', new Uint8Array(1))
    for (let i = 0; i < 5; i++) await store.get('a')
    await store.list('')
    await store.delete('a')
    expect(estimateDollars(store.snapshot(), S3_STANDARD_PRICES)).toBeCloseTo((11 * 5 + 5 * 0.4) / 1e6, 12)
    expect(estimateDollars(store.snapshot(), FREE_PRICES)).toBe(0)
  })
})

describe('LatencyHistogram', () => {
  it('gives quantiles that bound the durations from above by at most a fifth', () => {
    const histogram = new LatencyHistogram()
    for (let i = 1; i <= 1_000; i++) histogram.record(i)
    for (const quantile of [0.01, 0.5, 0.9, 0.99, 1]) {
      const bound = latencyQuantileMs(histogram.counts(), quantile) as number
      expect(bound).toBeGreaterThanOrEqual(quantile * 1_000)
      expect(bound).toBeLessThanOrEqual(quantile * 1_000 * 2 ** 0.25)
    }
    expect(latencyQuantileMs(new LatencyHistogram().counts(), 0.5)).toBeUndefined()
  })
})
