// Invariant: every request is charged once, to the account that its call names, however often it is tried and in however
// many parts it is sent; and the charges of all accounts add up to what the store was asked.
import { SeededRandom, systemClock, utf8Encode } from '@moraine/base'
import { describe, expect, it } from 'vitest'
import { MemoryObjectStore } from '../memory/memory-object-store.ts'
import { AccountedObjectStore } from './accounted-object-store.ts'
import { CountingObjectStore } from './counting-object-store.ts'
import { FaultyObjectStore } from './faulty-object-store.ts'
import { PrefixedObjectStore } from './prefixed-object-store.ts'
import { R2_PRICES, S3_EXPRESS_PRICES, S3_STANDARD_PRICES } from './price-table.ts'
import { costOf, RequestAccount } from './request-account.ts'
import { tallyOf } from './request-counts.ts'
import { addTally, EMPTY_TALLY, requestCount } from './request-tally.ts'
import { RetryingObjectStore } from './retrying-object-store.ts'

describe('accounts of requests', () => {
  it('charge every try of a call, also those that fail', async () => {
    const faulty = new FaultyObjectStore(new MemoryObjectStore(), (operation, _, n) => (operation === 'put' && n < 2 ? { kind: 'fail' } : undefined), {
      clock: systemClock,
    })
    const counting = new CountingObjectStore(faulty)
    const retrying = new RetryingObjectStore(counting, { clock: systemClock, random: new SeededRandom(1), baseDelayMs: 1 })
    const account = new RequestAccount()
    const store = new AccountedObjectStore(new PrefixedObjectStore(retrying, 'p'), account)
    await store.put('a', utf8Encode('12345'))
    expect(account.tally()).toEqual({ requests: { ...EMPTY_TALLY.requests, put: 3 }, uploadedBytes: 15, downloadedBytes: 0 })
    expect((await store.get('a'))?.bytes).toHaveLength(5)
    await store.list('')
    await store.head('a')
    await store.delete('a')
    await store.deleteMany(Array.from({ length: 1_001 }, (_, i) => `d${i}`))
    expect(account.tally().requests).toEqual({ put: 3, get: 1, list: 1, head: 1, delete: 3 })
    expect(account.tally().downloadedBytes).toBe(5)
    expect(account.tally()).toEqual(tallyOf(counting.snapshot()))
  })

  it('charge each part of a multipart upload, and the two requests around them', async () => {
    const inner = new MemoryObjectStore()
    Object.assign(inner, { traits: { orderedList: true, multipart: { thresholdBytes: 100, partSizeBytes: 40 } } })
    const account = new RequestAccount()
    const store = new AccountedObjectStore(new CountingObjectStore(inner), account)
    await store.put('large', new Uint8Array(121))
    expect(account.tally().requests.put).toBe(4 + 2)
  })

  it('a call that names an account is charged to that one, one that names none to the rest', async () => {
    const [mine, yours, rest] = [new RequestAccount(), new RequestAccount(), new RequestAccount()]
    const counting = new CountingObjectStore(new MemoryObjectStore(), { unattributed: rest })
    const store = new AccountedObjectStore(counting, mine)
    await store.put('a', new Uint8Array(1))
    await store.get('a', { account: yours })
    await counting.list('')
    expect([mine, yours, rest].map((account) => requestCount(account.tally()))).toEqual([1, 1, 1])
    const sum = [mine, yours, rest].reduce((tally, account) => addTally(tally, account.tally()), EMPTY_TALLY)
    expect(sum).toEqual(tallyOf(counting.snapshot()))
  })

  it('a store that counts below another one that counts charges nothing twice', async () => {
    const account = new RequestAccount()
    const store = new CountingObjectStore(new CountingObjectStore(new MemoryObjectStore()))
    await store.list('', { account })
    await store.put('a', new Uint8Array(1), { account })
    expect(requestCount(account.tally())).toBe(2)
  })

  it('a part of an account is charged together with the whole', async () => {
    const whole = new RequestAccount(S3_STANDARD_PRICES)
    const store = new CountingObjectStore(new MemoryObjectStore())
    const part = whole.sub()
    await store.list('', { account: whole })
    const before = whole.tally()
    await store.list('', { account: part })
    expect([requestCount(whole.tally()), requestCount(part.tally()), requestCount(whole.tally(before))]).toEqual([2, 1, 1])
    expect(part.cost().dollars).toBeCloseTo(5 / 1e6, 15)
  })
})

describe('dollars', () => {
  const gib = 2 ** 30
  const tally = { requests: { put: 1e6, list: 2e6, get: 3e6, head: 4e6, delete: 5e6 }, uploadedBytes: 10 * gib, downloadedBytes: 100 * gib }

  it('S3 Standard: puts and lists, gets and heads; deletes and bytes are free', () => {
    expect(costOf(tally, S3_STANDARD_PRICES).dollars).toBeCloseTo(3 * 5 + 7 * 0.4, 9)
  })

  it('S3 Express: also by the gibibyte', () => {
    expect(costOf(tally, S3_EXPRESS_PRICES).dollars).toBeCloseTo(3 * 1.13 + 7 * 0.03 + 10 * 0.0032 + 100 * 0.0006, 9)
  })

  it('R2: class A and class B', () => {
    expect(costOf(tally, R2_PRICES).dollars).toBeCloseTo(3 * 4.5 + 7 * 0.36, 9)
  })
})
