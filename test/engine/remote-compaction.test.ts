// Invariant: whatever a remote compactor does, and wherever it or the owner dies, the database holds what was written and
// every table that it names; at most one result of a job counts, and none of a job that was taken back; nothing is left
// over once the collector has looked.
import { Deferred, SeededRandom, systemClock, systemRandom } from '@moraine/base'
import { MemoryObjectStore, type ObjectStore, PrefixedObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { type Cut, CutObjectStore, driveModel, MortalObjectStore, SimulatedClock } from '@moraine/testing'
import { collectGarbage, type Db, open, type OpenOptions, type RemoteCompactionReport, verify } from 'moraine'
import { openRemoteCompactor, type RemoteCompactor, type RemoteCompactorEvent } from 'moraine/inspect'
import { describe, expect, test } from 'vitest'
import { namesIn, newestOf } from './bucket.ts'
import { SMALL_SETTINGS } from './small-settings.ts'
import { contents, QUIET } from './subject.ts'

const PREFIX = 'db'
const LEASE_MS = 1_000
const UNCLAIMED_MS = 2_000
const FLUSHED: OpenOptions = { ...QUIET, compression: 'none', targetFileSizeBytes: 8 * 1024 }
const OFFERING: OpenOptions = {
  ...FLUSHED,
  level0CompactionTrigger: 4,
  level0StopTrigger: 12,
  gcGraceMs: 0,
  gcIntervalMs: 60_000,
  remoteCompaction: { leaseMs: LEASE_MS, takeBackAfterMs: UNCLAIMED_MS, minSizeBytes: 0 },
}

/** A bucket with four overlapping tables of level 0, and the processes that use it in simulated time. */
class Scene {
  readonly store = new MemoryObjectStore()
  readonly clock = new SimulatedClock()
  readonly database: ObjectStore = new PrefixedObjectStore(this.store, PREFIX)
  readonly reports: RemoteCompactionReport[] = []
  wanted: Record<string, string> = {}
  #seed = 1

  static async make(): Promise<Scene> {
    const scene = new Scene()
    const db = await scene.open(FLUSHED)
    for (let round = 0; round < 4; round++) await scene.writeRound(db, round)
    scene.wanted = await contents(db)
    await scene.run(db.close())
    return scene
  }

  async writeRound(db: Db, round: number): Promise<void> {
    for (let i = round; i < 120; i += round + 1) {
      const key = `key-${String((i * 7) % 120).padStart(4, '0')}`
      if ((i + round) % 5 === 0) await db.delete(key)
      else await db.put(key, `${round}:${i}:`.padEnd(300, String.fromCharCode(97 + (i % 26))))
    }
    await this.run(db.flush())
  }

  async open(options: OpenOptions = OFFERING, store: ObjectStore = this.store): Promise<Db> {
    const db = await this.run(open({ store, prefix: PREFIX }, { ...options, clock: this.clock, random: new SeededRandom(this.#seed++) }))
    db.on('remoteCompaction', (report) => this.reports.push(report))
    return db
  }

  compactor(store: ObjectStore = this.store, onEvent: (event: RemoteCompactorEvent) => void = () => {}): RemoteCompactor {
    return openRemoteCompactor({ root: store, prefix: PREFIX }, { clock: this.clock, random: new SeededRandom(this.#seed++), onEvent })
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.clock.drive(work)
  }

  async offered(db: Db): Promise<void> {
    while (db.stats().compaction.remote.openJob === undefined) await this.clock.advance(1)
  }

  async closed(db: Db): Promise<void> {
    for (let n = 0; db.stats().compaction.remote.openJob !== undefined; n++) {
      if (n > 1000) throw new Error('the job stays open')
      await this.clock.advance(100)
    }
  }

  /** Opens once more, compares, and asks the collector and the verifier. */
  async settle(): Promise<void> {
    const db = await this.open(FLUSHED)
    expect(await contents(db)).toEqual(this.wanted)
    await this.clock.advance(10)
    await this.run(db.close())
    // A sweep of the next owner judges everything of all owners before it.
    const sweeper = await this.open({ ...FLUSHED, gcGraceMs: 0, gcIntervalMs: 1_000 })
    await sweeper.put('zz', '')
    await sweeper.delete('zz')
    await this.run(sweeper.flush())
    await this.clock.advance(3_000)
    expect(sweeper.stats().gc.sweeps).toBeGreaterThan(0)
    await this.run(sweeper.close())
    const report = await verify({ store: this.store, prefix: PREFIX }, { deep: true, orphans: true })
    expect({ problems: report.problems, orphans: report.orphans }).toEqual({ problems: [], orphans: [] })
    expect(await namesIn(this.database, 'compaction/')).toEqual([])
  }
}

/** Holds writes of some objects back until it is told to go on, and then all calls are let through. */
class PausingStore extends WrappedObjectStore {
  readonly #holds: (name: string) => boolean
  readonly #resumed = new Deferred<void>()
  #held = false

  constructor(inner: ObjectStore, holds: (name: string) => boolean) {
    super(inner)
    this.#holds = holds
  }

  resume(): void {
    this.#resumed.resolve()
  }

  override close(): Promise<void> {
    return Promise.resolve()
  }

  protected override async around<T>({ operation, key }: StoreCall, run: () => Promise<T>): Promise<T> {
    this.#held ||= operation === 'put' && this.#holds(key)
    if (this.#held) await this.#resumed.promise
    return await run()
  }
}

const never = new AbortController().signal
/** How jobs ended. (The first offer comes before `open` returns, so it is heard by nobody.) */
const ends = (scene: Scene): string[] => scene.reports.filter(({ state }) => state !== 'offered').map(({ state, reason }) => reason ?? state)

test('the owner commits what a compactor has built; the result is what the owner would have built', async () => {
  const scene = await Scene.make()
  const db = await scene.open()
  const compactions: boolean[] = []
  db.on('compaction', ({ remote }) => compactions.push(remote))
  await scene.offered(db)
  await db.put('during', 'the job')
  expect(await scene.run(scene.compactor().step(never))).toBe(true)
  await scene.closed(db)
  expect(ends(scene)).toEqual(['committed'])
  expect(compactions).toEqual([true])
  expect(db.stats().compaction).toMatchObject({ compactions: 1, remote: { openJob: undefined, offered: 1, committed: 1, takenBack: 0 } })
  expect(db.stats().levels[0]?.files).toBe(0)
  scene.wanted['during'] = 'the job'
  expect(await contents(db)).toEqual(scene.wanted)
  await scene.run(db.close())
  expect((await newestOf(scene.database)).version.levels[1]?.length).toBeGreaterThan(1)
  await scene.settle()
})

test('a snapshot taken before the job and one taken during it both stay whole', async () => {
  const scene = await Scene.make()
  const db = await scene.open({ ...OFFERING, level0CompactionTrigger: 5 })
  const before = db.snapshot()
  await scene.writeRound(db, 4)
  await scene.offered(db)
  const after = await contents(db)
  const during = db.snapshot()
  await db.put('key-0000', 'newer')
  await scene.run(scene.compactor().step(never))
  await scene.closed(db)
  expect(ends(scene)).toEqual(['committed'])
  expect(await contents(db, { snapshot: before })).toEqual(scene.wanted)
  expect(await contents(db, { snapshot: during })).toEqual(after)
  before.close()
  during.close()
  await scene.run(db.close())
})

describe('a compactor killed at each of its store calls', () => {
  test.each(['before', 'after'] as const)('%s the call', async (when) => {
    const seen = new Set<string>()
    for (let call = 1; ; call++) {
      const scene = await Scene.make()
      const db = await scene.open()
      await scene.offered(db)
      const dying = new CutObjectStore(scene.store, { call, when } satisfies Cut)
      const work = scene.compactor(dying).step(never).catch(() => {})
      await scene.clock.advance(LEASE_MS / 2)
      await scene.closed(db)
      seen.add(ends(scene)[0] as string)
      expect(await contents(db)).toEqual(scene.wanted)
      await scene.run(db.close())
      const { wasCut } = dying
      dying.bury()
      await scene.run(work)
      await scene.settle()
      if (!wasCut) break
    }
    expect([...seen].sort()).toEqual(['committed', 'standstill', 'unclaimed'])
  }, 60_000)
})

describe('large values', () => {
  // The tables hold them; whoever merges those writes them into blob files.
  const separating: OpenOptions = { ...OFFERING, blobThresholdBytes: 256 }

  test('a compactor writes blob files as the owner would; the next merge refers to them, or moves them', async () => {
    const scene = await Scene.make()
    const db = await scene.open(separating)
    await scene.offered(db)
    await scene.run(scene.compactor().step(never))
    await scene.closed(db)
    expect(ends(scene)).toEqual(['committed'])
    const first = await namesIn(scene.database, 'blob/')
    expect(first.length).toBeGreaterThan(1)
    expect(await contents(db)).toEqual(scene.wanted)
    for (let round = 0; round < 4; round++) await scene.writeRound(db, round)
    scene.wanted = await contents(db)
    await scene.offered(db)
    await scene.run(scene.compactor().step(never))
    await scene.closed(db)
    expect(db.stats().compaction.remote.committed).toBe(2)
    expect(await contents(db)).toEqual(scene.wanted)
    await scene.run(db.close())
    await scene.settle()
  })

  test.each(['before', 'after'] as const)('a compactor killed %s any of its store calls leaves nothing behind', async (when) => {
    const seen = new Set<string>()
    for (let call = 1; ; call++) {
      const scene = await Scene.make()
      const db = await scene.open(separating)
      await scene.offered(db)
      const dying = new CutObjectStore(scene.store, { call, when } satisfies Cut)
      const work = scene.compactor(dying).step(never).catch(() => {})
      await scene.clock.advance(LEASE_MS / 2)
      await scene.closed(db)
      seen.add(ends(scene)[0] as string)
      expect(await contents(db)).toEqual(scene.wanted)
      await scene.run(db.close())
      const { wasCut } = dying
      dying.bury()
      await scene.run(work)
      await scene.settle()
      if (!wasCut) break
    }
    expect([...seen].sort()).toEqual(['committed', 'standstill', 'unclaimed'])
  }, 60_000)
})

describe('an owner killed at each of its store calls while a job is open', () => {
  test.each(['before', 'after'] as const)('%s the call', async (when) => {
    let died = 0
    for (let call = 1; ; call++) {
      const scene = await Scene.make()
      const dying = new CutObjectStore(scene.store, { call, when })
      const life = open({ store: dying, prefix: PREFIX }, { ...OFFERING, clock: scene.clock, random: new SeededRandom(99) })
      life.catch(() => {})
      const remote = scene.compactor()
      await scene.clock.advance(20)
      const compactorRuns = remote.step(never).catch(() => {})
      await scene.clock.advance(3_000)
      const { wasCut } = dying
      if (wasCut) died++
      // The next owner has a job of its own, and the compactor serves that one as well.
      const next = await scene.open()
      expect(await contents(next)).toEqual(scene.wanted)
      for (const job of (await newestOf(scene.database)).jobs) expect(job.id.slice(0, 12)).toBe(String(next.stats().epoch).padStart(12, '0'))
      await scene.run(compactorRuns)
      await scene.run(remote.step(never))
      await scene.closed(next)
      expect(await contents(next)).toEqual(scene.wanted)
      await scene.run(next.close())
      dying.bury()
      await life.then((db) => scene.run(db.close())).catch(() => {})
      await scene.settle()
      if (!wasCut) break
    }
    expect(died).toBeGreaterThan(10)
  }, 60_000)
})

describe('two compactors', () => {
  test('race for a job: one gets it', async () => {
    const scene = await Scene.make()
    const db = await scene.open()
    await scene.offered(db)
    const worked = await scene.run(Promise.all([scene.compactor().step(never), scene.compactor().step(never)]))
    expect(worked.sort()).toEqual([false, true])
    await scene.closed(db)
    expect(ends(scene)).toEqual(['committed'])
    await scene.run(db.close())
    await scene.settle()
  })

  test('the second one goes on with a job whose heartbeat stands still; the first one is too late', async () => {
    const scene = await Scene.make()
    const db = await scene.open()
    await scene.offered(db)
    const paused = new PausingStore(scene.store, (name) => name.startsWith(`${PREFIX}/sst/`))
    const events: string[] = []
    const first = scene.compactor(paused, ({ what }) => events.push(what)).step(never)
    await scene.clock.advance(10)
    const second = scene.compactor()
    expect(await scene.run(second.step(never))).toBe(false)
    await scene.clock.advance(LEASE_MS)
    expect(await scene.run(second.step(never))).toBe(true)
    await scene.closed(db)
    expect(ends(scene)).toEqual(['committed'])
    paused.resume()
    expect(await scene.run(first)).toBe(true)
    expect(events).toEqual(['claimed', 'dropped'])
    expect(await contents(db)).toEqual(scene.wanted)
    await scene.run(db.close())
    await scene.settle()
  })
})

describe('pitfall 1: a compactor that sleeps before the call', () => {
  test.each(['sst/', '.result', '.heartbeat', '.claim'])('that writes %s, and wakes after the job was taken back', async (part) => {
    const scene = await Scene.make()
    const db = await scene.open()
    await scene.offered(db)
    const paused = new PausingStore(scene.store, (name) => name.includes(part))
    const late = scene.compactor(paused).step(never)
    await scene.closed(db)
    const [end] = ends(scene)
    expect(end).toBe(part === '.claim' ? 'unclaimed' : 'standstill')
    await scene.clock.advance(10)
    const { manifestId } = db.stats()
    paused.resume()
    await scene.run(late.catch(() => {}))
    await scene.clock.advance(5_000)
    expect(db.stats().manifestId).toBe(manifestId)
    expect(db.stats().compaction.remote).toMatchObject({ committed: 0, takenBack: 1 })
    expect(await contents(db)).toEqual(scene.wanted)
    await scene.run(db.close())
    await scene.settle()
  })
})

test('collections during a job leave its outputs alone, and take them once it is closed', async () => {
  const scene = await Scene.make()
  const db = await scene.open({ ...OFFERING, remoteCompaction: { leaseMs: 600_000, takeBackAfterMs: 600_000, minSizeBytes: 0 }, gcIntervalMs: 1_000 })
  await scene.offered(db)
  const before = await namesIn(scene.database, 'sst/')
  const paused = new PausingStore(scene.store, (name) => name.endsWith('.result'))
  const work = scene.compactor(paused).step(never).catch(() => {})
  // The outputs are there and old enough, and the result is not.
  await scene.clock.advance(30)
  const outputs = (await namesIn(scene.database, 'sst/')).filter((name) => !before.includes(name))
  expect(outputs.length).toBeGreaterThan(1)
  const { sweeps } = db.stats().gc
  await db.put('more', 'work')
  await scene.run(db.flush())
  await new Promise((resolve) => setTimeout(resolve, 5))
  await scene.clock.advance(3_000)
  expect(db.stats().gc.sweeps).toBeGreaterThan(sweeps)
  expect(await namesIn(scene.database, 'sst/')).toEqual(expect.arrayContaining(outputs))
  await collectGarbage({ store: scene.store, prefix: PREFIX }, { graceMs: 0, force: true })
  expect(await namesIn(scene.database, 'sst/')).toEqual(expect.arrayContaining(outputs))
  await scene.run(db.compact())
  expect(ends(scene)).toEqual(['local'])
  await scene.clock.advance(3_000)
  const left = await namesIn(scene.database, 'sst/')
  expect(outputs.filter((name) => left.includes(name))).toEqual([])
  paused.resume()
  await scene.run(work)
  scene.wanted['more'] = 'work'
  expect(await contents(db)).toEqual(scene.wanted)
  await scene.run(db.close())
  await scene.settle()
})

test('pitfall 36: the collector of a fenced owner leaves the outputs of its successor\'s job alone', async () => {
  const scene = await Scene.make()
  const remoteCompaction = { leaseMs: 600_000, takeBackAfterMs: 600_000, minSizeBytes: 0 }
  const fenced = await scene.open({ ...OFFERING, remoteCompaction, gcIntervalMs: 1_000 })
  await scene.offered(fenced)
  const owner = await scene.open({ ...OFFERING, remoteCompaction, gcIntervalMs: 0 })
  await scene.offered(owner)
  const paused = new PausingStore(scene.store, (name) => name.endsWith('.result'))
  const work = scene.compactor(paused).step(never)
  await scene.clock.advance(30)
  const before = await namesIn(scene.database, 'sst/')
  await new Promise((resolve) => setTimeout(resolve, 5))
  await scene.clock.advance(3_000)
  expect(await namesIn(scene.database, 'sst/')).toEqual(before)
  paused.resume()
  expect(await scene.run(work)).toBe(true)
  await scene.closed(owner)
  expect(owner.stats().compaction.remote).toMatchObject({ committed: 1, takenBack: 0 })
  expect(fenced.stats().compaction.remote.committed).toBe(0)
  expect(await contents(owner)).toEqual(scene.wanted)
  await scene.run(owner.close())
  await scene.run(fenced.close().catch(() => {}))
  await scene.settle()
})

test('a job is taken back before writes would be held back', async () => {
  const scene = await Scene.make()
  const remoteCompaction = { leaseMs: 600_000, takeBackAfterMs: 600_000, minSizeBytes: 0 }
  const db = await scene.open({ ...OFFERING, remoteCompaction })
  const stalls: string[] = []
  db.on('stall', ({ reason }) => stalls.push(reason))
  await scene.offered(db)
  for (let round = 0; round < 8; round++) {
    await scene.writeRound(db, round % 4)
    await scene.clock.advance(10)
  }
  expect(ends(scene)).toEqual(['stall'])
  expect(stalls).toEqual([])
  expect(db.stats().levels[0]?.files).toBeLessThan(8)
  scene.wanted = await contents(db)
  await scene.run(db.close())
  await scene.settle()
})

test('a damaged output is not committed', async () => {
  const scene = await Scene.make()
  const db = await scene.open()
  await scene.offered(db)
  const before = new Set(await namesIn(scene.database, 'sst/'))
  await scene.run(scene.compactor().step(never))
  const output = (await namesIn(scene.database, 'sst/')).find((name) => !before.has(name)) as string
  const { bytes } = (await scene.database.get(output)) as { bytes: Uint8Array }
  bytes[bytes.length - 100]! ^= 1
  await scene.database.put(output, bytes)
  await scene.closed(db)
  expect(ends(scene)).toEqual(['damaged'])
  expect(await contents(db)).toEqual(scene.wanted)
  await scene.run(db.close())
  await scene.settle()
})

test.each([1, 2])('a database with a compactor beside it, against the model, seed %i', async (seed) => {
  const store = new MemoryObjectStore()
  const remoteCompaction = { leaseMs: 500, takeBackAfterMs: 100, minSizeBytes: 0 }
  const options: OpenOptions = { ...SMALL_SETTINGS, level0StopTrigger: 20, wal: 'object-store', remoteCompaction }
  const stop = new AbortController()
  let committed = 0
  let mortal: MortalObjectStore | undefined
  let beside: Promise<void> | undefined
  await driveModel(
    {
      open: async () => {
        mortal = new MortalObjectStore(store)
        const db = await open({ store: mortal, prefix: PREFIX }, options)
        db.on('remoteCompaction', ({ state }) => (committed += state === 'committed' ? 1 : 0))
        const compactor = openRemoteCompactor({ root: store, prefix: PREFIX }, { clock: systemClock, random: systemRandom })
        beside ??= compactor.run({ once: false, pollMs: 2, signal: stop.signal })
        return db
      },
      kill: async () => mortal?.kill(),
    },
    { random: new SeededRandom(seed), steps: 1200, survives: 'acknowledged' },
  )
  stop.abort()
  await beside
  expect(committed).toBeGreaterThan(0)
})

test.each(['close', 'restore'] as const)('%s ends an open job; its result comes too late', async (end) => {
  const scene = await Scene.make()
  const remoteCompaction = { leaseMs: 600_000, takeBackAfterMs: 600_000, minSizeBytes: 0 }
  const db = await scene.open({ ...OFFERING, level0CompactionTrigger: 5, remoteCompaction })
  await scene.run(db.checkpoint({ name: 'before' }))
  await scene.writeRound(db, 4)
  await scene.offered(db)
  const paused = new PausingStore(scene.store, (name) => name.endsWith('.result'))
  const work = scene.compactor(paused).step(never)
  await scene.clock.advance(30)
  if (end === 'restore') await scene.run(db.restore('before'))
  else scene.wanted = await contents(db)
  await scene.run(db.close())
  expect((await newestOf(scene.database)).jobs).toEqual([])
  paused.resume()
  await scene.run(work)
  const next = await scene.open(FLUSHED)
  await scene.run(next.deleteCheckpoint('before'))
  await scene.run(next.close())
  await scene.settle()
})
