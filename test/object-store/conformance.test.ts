// Invariant: every store keeps the whole contract of ObjectStore, bare or wrapped.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom, systemClock, systemRandom } from '@moraine/base'
import {
  CountingObjectStore,
  FaultyObjectStore,
  FileObjectStore,
  LatencyObjectStore,
  MemoryObjectStore,
  PrefixedObjectStore,
  RetryingObjectStore,
  slowDownError,
} from '@moraine/object-store'
import { objectStoreConformance } from '@moraine/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'

describe('MemoryObjectStore', () => {
  const store = new MemoryObjectStore()
  objectStoreConformance({ test, store: () => store })
})

describe('FileObjectStore', () => {
  let root: string
  let store: FileObjectStore
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'moraine-store-'))
    // Syncing each of some 4,000 files would make the suite wait for the disk; file-object-store.test.ts syncs.
    store = new FileObjectStore({ root, fsync: false })
  })
  afterAll(async () => {
    await store.close()
    await rm(root, { recursive: true })
  })
  objectStoreConformance({ test, store: () => store })
})

describe('wrappers around one another', () => {
  const inner = new MemoryObjectStore()
  const faultless = new FaultyObjectStore(inner, () => undefined, { clock: systemClock })
  const retrying = new RetryingObjectStore(faultless, { clock: systemClock, random: systemRandom })
  const store = new PrefixedObjectStore(new CountingObjectStore(retrying), 'some/prefix')
  objectStoreConformance({ test, store: () => store })
})

describe('RetryingObjectStore over a store of which every tenth call fails', () => {
  const random = new SeededRandom(5)
  // Creates are not retried, and aborted calls must not count as failed ones: those go through.
  const faulty = new FaultyObjectStore(
    new MemoryObjectStore(),
    (operation) => (operation !== 'put' && random.chance(0.1) ? { kind: 'fail', error: slowDownError() } : undefined),
    { clock: systemClock },
  )
  const store = new RetryingObjectStore(faulty, { clock: systemClock, random, attempts: 12, baseDelayMs: 1, maxDelayMs: 4 })
  objectStoreConformance({ test, store: () => store })
})

describe('LatencyObjectStore', () => {
  const store = new LatencyObjectStore(new MemoryObjectStore(), {
    clock: systemClock,
    random: new SeededRandom(3),
    minMs: 0,
    maxMs: 1,
  })
  objectStoreConformance({ test, store: () => store })
})
