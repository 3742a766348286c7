// Invariant: the resident memory of a process is bounded by the budget and a constant (docs/memory.md), whatever is loaded or
// read, by one database or by two. Without a budget the same load takes 340 MiB before anything is read.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildCli } from '../cli/run-script.ts'

const root = new URL('../../', import.meta.url)
const MIB = 1024 * 1024
const BUDGET_MIB = 16

/**
 * Node, the code, its heap, a worker thread, and buffers that wait for the garbage collector: 190 MiB were measured while
 * loading, 240 while blocks come and go.
 */
const CONSTANT_MIB = 290
const THREAD_MIB = 30

let folder: string
beforeAll(async () => {
  await buildCli()
  folder = await mkdtemp(join(tmpdir(), 'moraine-memory-'))
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Loads `loadMib` of values that do not compress, into databases in turn, then reads `readMib` of them at random. */
const PROGRAM = `
const { entry, locations, budgetMib, loadMib, readMib } = JSON.parse(process.argv[2])
const { MemoryBudget, open } = await import(entry)
const MIB = 1024 * 1024
const VALUE = 10_000
const budget = new MemoryBudget({ totalBytes: budgetMib * MIB })
const most = { rss: 0, used: 0 }
const look = () => {
  most.rss = Math.max(most.rss, process.memoryUsage.rss())
  most.used = Math.max(most.used, budget.stats().usedBytes)
}
setInterval(look, 5).unref()
const databases = []
for (const location of locations) databases.push(await open(location, { wal: 'none', workerThreads: 1, memoryBudget: budget }))
const pool = new Uint8Array(2 * MIB)
for (let at = 0; at < pool.length; at += 65536) crypto.getRandomValues(pool.subarray(at, at + 65536))
const entries = Math.ceil((loadMib * MIB) / VALUE)
const key = (i) => 'key-' + String((i * 2654435761) % 4294967296).padStart(10, '0')
const together = (lanes, lane) => Promise.all(Array.from({ length: lanes }, lane))
let written = 0
await together(16, async () => {
  for (let i = written++; i < entries; i = written++) {
    const at = (i * 7919) % (pool.length - VALUE)
    await databases[i % databases.length].put(key(i), pool.subarray(at, at + VALUE))
    look()
  }
})
for (const db of databases) await db.flush()
const loaded = { ...most }
let read = 0
let warm = 0
const reads = Math.ceil((readMib * MIB) / VALUE)
await together(8, async () => {
  for (let n = read++; n < reads; n = read++) {
    const i = (n * 48271) % entries
    const value = await databases[i % databases.length].get(key(i))
    if (value?.length !== VALUE) throw new Error('a value is missing')
    look()
    if (n === Math.floor(reads / 5)) {
      gc()
      warm = most.rss
    }
  }
})
gc()
const stats = databases.map((db) => db.stats())
for (const db of databases) await db.close()
console.log(JSON.stringify({ loaded, most, warmRss: warm, cached: stats.map(({ memory }) => memory.blockCache), left: budget.stats().usedBytes }))
`

interface Measured {
  readonly loaded: { readonly rss: number; readonly used: number }
  readonly most: { readonly rss: number; readonly used: number }
  readonly warmRss: number
  readonly cached: readonly number[]
  readonly left: number
}

async function measure(options: { databases: number; loadMib: number; readMib: number }): Promise<Measured> {
  const { databases, loadMib, readMib } = options
  const here = await mkdtemp(join(folder, 'run-'))
  const locations = Array.from({ length: databases }, (_, i) => pathToFileURL(join(here, `db-${i}`)).href)
  const entry = new URL('packages/engine/dist/index.js', root).href
  const given = JSON.stringify({ entry, locations, budgetMib: BUDGET_MIB, loadMib, readMib })
  // From a file: a worker thread does not start where the program came from the command line.
  const program = join(here, 'program.mjs')
  await writeFile(program, PROGRAM)
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', program, given])
  await rm(here, { recursive: true, force: true })
  return JSON.parse(stdout) as Measured
}

describe('resident memory', () => {
  test('of a load of ten times the budget, and of reading ten times the budget', { timeout: 180_000 }, async () => {
    const { loaded, most, warmRss, cached, left } = await measure({ databases: 1, loadMib: 160, readMib: 160 })
    expect(loaded.rss / MIB).toBeLessThan(BUDGET_MIB + CONSTANT_MIB)
    expect(most.used / MIB).toBeLessThanOrEqual(BUDGET_MIB)
    // The cache was full all the time, and what it let go of is not kept alive by anything (pitfall 23).
    expect((cached[0] as number) / MIB).toBeGreaterThan(BUDGET_MIB / 3)
    expect(most.rss - warmRss).toBeLessThan(100 * MIB)
    expect(most.rss / MIB).toBeLessThan(BUDGET_MIB + CONSTANT_MIB)
    expect(left).toBe(0)
  })

  test('of two databases that share a budget is bounded by the same', { timeout: 180_000 }, async () => {
    const { most, cached, left } = await measure({ databases: 2, loadMib: 160, readMib: 80 })
    expect(most.used / MIB).toBeLessThanOrEqual(BUDGET_MIB)
    // Each has a worker thread of its own.
    expect(most.rss / MIB).toBeLessThan(BUDGET_MIB + CONSTANT_MIB + THREAD_MIB)
    for (const bytes of cached) expect(bytes).toBeGreaterThan(MIB)
    expect(left).toBe(0)
  })
})
