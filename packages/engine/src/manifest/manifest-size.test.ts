// Invariant: however many tables a database has, a commit writes a small object and opening takes a few requests; what is
// read back is what was committed.
import { SeededRandom, systemClock } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { expect, test } from 'vitest'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { newFileId } from '../layout/object-names.ts'
import type { Manifest } from './manifest.ts'
import { ManifestStore } from './manifest-store.ts'
import type { TableFile } from './table-file.ts'
import { LEVEL_COUNT, type Version } from './version.ts'
import { VersionSet } from './version-set.ts'

const TABLES = 100_000
const COMMITS = 14
const MIB = 1024 * 1024

const random = new SeededRandom(1)
const key = (n: number): Uint8Array => new Uint8Array(Buffer.from(`tenant/users/${String(n).padStart(12, '0')}`))

function table(smallestKey: Uint8Array, largestKey: Uint8Array): TableFile {
  return {
    id: newFileId(1 as Epoch, random),
    sizeBytes: 32 * MIB,
    tailOffset: 31 * MIB,
    tailCrc32c: random.below(2 ** 32),
    entryCount: 300_000,
    deletionCount: 10,
    smallestKey,
    largestKey,
    smallestSeq: 1,
    largestSeq: 1_000_000_000,
    rawBytes: 40 * MIB,
    createdAtMs: 1_764_000_000_000,
  }
}

function bigVersion(): Version {
  const levels: TableFile[][] = Array.from({ length: LEVEL_COUNT }, () => [])
  for (let i = 0; i < TABLES; i++) {
    levels[i < 1_000 ? 4 : i < 10_000 ? 5 : 6]?.push(table(key(i * 10), key(i * 10 + 9)))
  }
  return { levels }
}

test('pitfall 17: 100,000 tables: every manifest stays below 1 MB and is opened with three requests', async () => {
  const inner = new MemoryObjectStore()
  const store = new CountingObjectStore(inner)
  const options = { clock: systemClock, random }
  const first: Manifest = {
    id: 1 as ManifestId,
    epoch: 1 as Epoch,
    token: 't',
    databaseId: 'd'.repeat(32),
    committedAtMs: 0,
    flushedSeq: 1_000_000_000,
    lastSeq: 1_000_000_000,
    walId: undefined,
    released: false,
    owner: 'a test',
    version: bigVersion(),
    checkpoints: [],
    walEpochs: [],
    origins: [],
    jobs: [],
    keyspaces: [],
    ttlNowMs: 0,
    base: undefined,
  }
  const manifests = new ManifestStore(store, options)
  const versions = new VersionSet(manifests, await manifests.commit(first), options)
  for (let i = 0; i < COMMITS; i++) {
    const run = versions.current.version.levels[6] as readonly TableFile[]
    const at = random.below(run.length - 350)
    const removed = run.slice(at, at + 350).map((file) => ({ level: 6, file }))
    const added = removed.map(({ level, file }) => ({ level, file: table(file.smallestKey, file.largestKey) }))
    await versions.commit(() => ({ edit: { removed, added } }), () => {})
  }
  const sizes = new Map<string, number[]>()
  let token: string | undefined
  do {
    const page = await inner.list('', { token })
    for (const { key: name, sizeBytes } of page.objects) {
      const folder = name.slice(0, name.indexOf('/'))
      sizes.set(folder, [...(sizes.get(folder) ?? []), sizeBytes])
    }
    token = page.nextToken
  } while (token !== undefined)
  expect(sizes.get('manifest')).toHaveLength(COMMITS + 1)
  expect(Math.max(...(sizes.get('manifest') as number[]))).toBeLessThan(1_000_000)
  // The whole list is written again once the difference has outgrown a manifest, and not before.
  expect(sizes.get('base')).toHaveLength(2)

  const before = store.snapshot().requests
  const opened = await new ManifestStore(store, options).readNewest()
  expect(store.snapshot().requests - before).toBe(3)
  const idsOf = ({ levels }: Version): string => levels.map((files) => files.map(({ id }) => id).join()).join(';')
  expect(idsOf(opened?.version as Version) === idsOf(versions.current.version)).toBe(true)
}, 120_000)
