// Invariant: every store keeps the whole contract of ObjectStore, bare or wrapped.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileObjectStore, MemoryObjectStore } from '@moraine/object-store'
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
