/**
 * Invariant: a worker thread builds byte for byte what the inline work builds; whatever goes wrong there, a read that
 * fails, a thread that dies, a caller that stops listening, ends the iteration, and the thread has let go of the job.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MoraineError, SeededRandom, systemClock } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore, type ObjectStore, RequestAccount, tallyOf } from '@moraine/object-store'
import { defaultSstWriterSettings } from '@moraine/sstable'
import { build } from 'vite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Epoch } from '../../layout/numbers.ts'
import { type BlobSeed, newFileId } from '../../layout/object-names.ts'
import { restrictFile, type TableFile } from '../../manifest/table-file.ts'
import { Memtable } from '../../memtable/memtable.ts'
import type { ByteWork, FlushJob, MergeJob } from '../byte-work.ts'
import { InlineByteWork } from '../inline-byte-work.ts'
import type { BuiltTable } from '../built-table.ts'
import { TableStore } from '../table-store.ts'
import { TableWriter } from '../table-writer.ts'
import { ThreadByteWork } from './thread-byte-work.ts'

const ENTRIES = 30_000
const never = new AbortController().signal
const writer = { ...defaultSstWriterSettings, createdAtMs: 1 }

function plainRules(snapshots: readonly number[]): FlushJob {
  return { writer, snapshots, compressions: [], ttlNowMs: 0, operators: [] }
}

let folder: string
let entry: URL
beforeAll(async () => {
  // Where the native modules, which stay outside of the bundle, are found.
  const modules = new URL('../../../../../node_modules/', import.meta.url)
  folder = await mkdtemp(join(modules.pathname, '.moraine-worker-'))
  entry = await bundleWorker(folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

let store: MemoryObjectStore
let inline: ByteWork
let works: ThreadByteWork[]
beforeEach(() => {
  store = new MemoryObjectStore()
  works = []
  inline = new InlineByteWork({ tables: tableStore(), clock: systemClock })
})
afterEach(() => Promise.all(works.map((work) => work.close())))

describe('results', () => {
  test('a flush gives the same bytes in a thread', async () => {
    const work = threads()
    const memtable = filled(7)
    const job = plainRules([ENTRIES / 2])
    const [there, here] = [await all(work.flush(memtable, job, never)), await all(inline.flush(memtable, job, never))]
    expect(there.length).toBe(1)
    expectSameTables(there, here)
    memtable.release()
  })

  test('a merge of whole and restricted tables gives the same bytes in a thread', async () => {
    const work = threads({ threads: 3 })
    const job = await mergeJob()
    const [there, here] = [await all(work.merge(job, never)), await all(inline.merge(job, never))]
    expect(there.length).toBeGreaterThan(3)
    expectSameTables(there, here)
  })

  test('blob files and the links to them are the same in a thread, also when values move', async () => {
    const work = threads()
    const memtable = filled(21)
    const blobs = { thresholdBytes: 64, seed: '000000000001-0123456789abcdef' as BlobSeed, relocate: [] } as const
    const flushJob = { ...plainRules([]), blobs }
    const [there, here] = [await all(work.flush(memtable, flushJob, never)), await all(inline.flush(memtable, flushJob, never))]
    expectSameTables(there, here)
    expectSameBlobs(there, here)
    const random = new SeededRandom(6)
    const upload = new TableWriter({ store, tables: tableStore(), clock: systemClock, newId: () => newFileId(1 as Epoch, random) })
    const file = await upload.upload(here[0] as BuiltTable)
    expect(file.blobs).toHaveLength(1)
    const relocate = (file.blobs ?? []).map(({ id }) => id)
    const moving = { ...blobs, seed: '000000000001-fedcba9876543210' as BlobSeed, relocate }
    const job = { ...plainRules([]), runs: [[file]], deeper: [], blobs: moving, targetSizeBytes: 200_000 }
    const [moved, same] = [await all(work.merge(job, never)), await all(inline.merge(job, never))]
    expectSameTables(moved, same)
    expectSameBlobs(moved, same)
    expect(moved.flatMap((table) => table.blobs.links.map(({ id }) => id)).every((id) => id.startsWith(moving.seed))).toBe(true)
    // Large values count for the size of a table: each goes with a file of about that size.
    expect(moved.length).toBeGreaterThan(2)
    memtable.release()
  })

  test('several jobs at once do not mix', async () => {
    const work = threads({ threads: 1 })
    const memtable = filled(3)
    const flushJob = plainRules([])
    const job = await mergeJob()
    const [a, b, c] = await Promise.all([
      all(work.merge(job, never)),
      all(work.flush(memtable, flushJob, never)),
      all(work.merge({ ...job, targetSizeBytes: 400_000 }, never)),
    ])
    expectSameTables(a, await all(inline.merge(job, never)))
    expectSameTables(b, await all(inline.flush(memtable, flushJob, never)))
    expect(c.length).toBeLessThan(a.length)
  })
})

describe('failures', () => {
  test('a read that fails, and a table that is gone, reach the caller with their code', async () => {
    const job = await mergeJob()
    const failing = threads({ get: () => Promise.reject(new MoraineError('UNAVAILABLE', 'not now')) })
    await expect(all(failing.merge(job, never))).rejects.toMatchObject({ code: 'UNAVAILABLE', message: 'not now' })
    const empty = threads({ get: () => Promise.resolve(undefined) })
    await expect(all(empty.merge(job, never))).rejects.toMatchObject({ code: 'CORRUPTION' })
  })

  test('a signal ends a job that waits for a read', async () => {
    const job = await mergeJob()
    const abort = new AbortController()
    const hanging = threads({
      get: () => {
        abort.abort()
        return new Promise(() => {})
      },
    })
    await expect(all(hanging.merge(job, abort.signal))).rejects.toMatchObject({ code: 'ABORTED' })
  })

  test('a caller that stops early ends the job', async () => {
    const work = threads()
    const job = await mergeJob()
    for await (const table of work.merge(job, never)) {
      expect(table.summary.entryCount).toBeGreaterThan(0)
      break
    }
    expect((await all(work.merge(job, never))).length).toBeGreaterThan(3)
  })

  test('a thread that dies fails its job with UNAVAILABLE, and the next job has a new thread', async () => {
    const dying = join(folder, 'dying.mjs')
    await writeFile(dying, `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(3))`)
    const work = threads({ entry: pathToFileURL(dying) })
    const memtable = filled(1)
    const job = plainRules([])
    for (let attempt = 0; attempt < 3; attempt++) {
      await expect(all(work.flush(memtable, job, never))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    }
    // Threads that never live are given up: the work is done on the spot.
    expect(await all(work.flush(memtable, job, never))).toHaveLength(1)
  })
})

test('no more than one finished table waits for the caller', async () => {
  let reads = 0
  const work = threads({
    get: (name, options) => {
      reads++
      return store.get(name, options)
    },
  })
  const job = { ...(await mergeJob()), targetSizeBytes: 100_000 }
  const tables = work.merge(job, never)
  await tables.next()
  // A thread that went on building would read all of its inputs; one that waits asks for nothing more.
  const settled = await quiet(() => reads)
  for await (const _ of tables);
  expect(settled).toBeLessThan(reads)
})

test('what a thread reads is charged to the account of its merge', async () => {
  const job = await mergeJob()
  const [rest, account, another] = [new RequestAccount(), new RequestAccount(), new RequestAccount()]
  const counting = new CountingObjectStore(store, { unattributed: rest })
  const work = threads({ get: (name, options) => counting.get(name, options) })
  await Promise.all([all(work.merge(job, never, undefined, account)), all(work.merge(job, never, undefined, another))])
  expect(account.tally().requests.get).toBeGreaterThan(3)
  expect(another.tally()).toEqual(account.tally())
  expect(rest.tally().requests.get).toBe(0)
  expect(tallyOf(counting.snapshot()).requests.get).toBe(account.tally().requests.get * 2)
})

/** The value of a counter once it has stood still for a while. */
async function quiet(counter: () => number): Promise<number> {
  for (let last = -1; ; ) {
    if (counter() === last) return last
    last = counter()
    await new Promise((resolve) => setTimeout(resolve, 150))
  }
}

function threads(options: { threads?: number; entry?: URL; get?: ObjectStore['get'] } = {}): ThreadByteWork {
  const get: ObjectStore['get'] = options.get ?? ((name, range) => store.get(name, range))
  const work = new ThreadByteWork({ entry: options.entry ?? entry, threads: options.threads ?? 2, storeOf: () => ({ get }), inline })
  works.push(work)
  return work
}

function tableStore(): TableStore {
  return new TableStore(() => store, { blockCacheSizeBytes: 0, metadataCacheSizeBytes: 1 << 20 })
}

function filled(salt: number, firstSeq = 1): Memtable {
  const memtable = new Memtable({ shared: true })
  const random = new SeededRandom(salt)
  for (let i = 0; i < ENTRIES; i++) {
    const key = new Uint8Array(Buffer.from(`key-${String(random.below(ENTRIES)).padStart(8, '0')}`))
    const value = random.fill(new Uint8Array(random.below(100)))
    memtable.insert(firstSeq + i, random.below(5) === 0 ? 0 : 1, key, 0, key.length, value, 0, value.length)
  }
  return memtable
}

/** Two tables, the second one in two parts with a hole between them. */
async function mergeJob(): Promise<MergeJob> {
  const tables = tableStore()
  const random = new SeededRandom(5)
  const upload = new TableWriter({ store, tables, clock: systemClock, newId: () => newFileId(1 as Epoch, random) })
  const files: TableFile[] = []
  for (const [i, salt] of [11, 12].entries()) {
    for await (const table of inline.flush(filled(salt, 1 + i * ENTRIES), plainRules([]), never)) {
      files.push(await upload.upload(table))
    }
  }
  const [older, newer] = files as [TableFile, TableFile]
  const at = (i: number): Uint8Array => new Uint8Array(Buffer.from(`key-${String(i).padStart(8, '0')}`))
  const parts = [restrictFile(newer, { lt: at(9_000) }), restrictFile(newer, { gte: at(12_000) })] as TableFile[]
  const deeper = [[{ smallestKey: at(100), largestKey: at(5_000), range: undefined }]]
  return { ...plainRules([ENTRIES]), runs: [[older], parts], deeper, targetSizeBytes: 300_000 }
}

async function all(tables: AsyncIterable<BuiltTable>): Promise<BuiltTable[]> {
  const found: BuiltTable[] = []
  for await (const table of tables) found.push(table)
  return found
}

function expectSameTables(there: readonly BuiltTable[], here: readonly BuiltTable[]): void {
  expect(there.map(({ summary }) => summary)).toEqual(here.map(({ summary }) => summary))
  expect(there.map(({ nextKey }) => nextKey)).toEqual(here.map(({ nextKey }) => nextKey))
  const bytes = (tables: readonly BuiltTable[]): Buffer => Buffer.concat(tables.flatMap(({ parts }) => parts))
  expect(bytes(there).equals(bytes(here))).toBe(true)
}

/** The worker's program as plain JavaScript, from the sources, because Node 20 runs no TypeScript. */
async function bundleWorker(outDir: string): Promise<URL> {
  await build({
    configFile: false,
    logLevel: 'silent',
    resolve: { conditions: ['moraine-source'] },
    ssr: { noExternal: /^@moraine\//, external: ['lz4-napi', '@node-rs/crc32', 'bloom-filters'], resolve: { conditions: ['moraine-source'] } },
    build: {
      ssr: true,
      outDir,
      minify: false,
      rollupOptions: {
        input: new URL('worker.ts', import.meta.url).pathname,
        output: { format: 'esm', entryFileNames: 'worker.mjs' },
      },
    },
  })
  return pathToFileURL(join(outDir, 'worker.mjs'))
}

function expectSameBlobs(there: readonly BuiltTable[], here: readonly BuiltTable[]): void {
  expect(there.map(({ blobs }) => blobs.links)).toEqual(here.map(({ blobs }) => blobs.links))
  for (const [i, { blobs }] of here.entries()) {
    for (const [j, { id, parts }] of blobs.files.entries()) {
      const other = there[i]?.blobs.files[j]
      expect(other?.id).toBe(id)
      expect(Buffer.concat(other?.parts ?? []).equals(Buffer.concat(parts))).toBe(true)
    }
  }
}
