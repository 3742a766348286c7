// Invariant: through any mixture of writes, flushes, compactions, collections, kills and reopenings, every checkpoint gives
// back the state it was taken at, by restore and by reader, and a reader that follows sees a state that the writer had.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { MortalObjectStore } from '@moraine/testing'
import { collectGarbage, type Db, type DbReader, open, openReader, type OpenOptions, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { contents, localLog, SMALL } from './subject.ts'

const STEPS = 250
const SEEDS = Number(process.env['MORAINE_MODEL_SEEDS'] ?? 3)

type State = ReadonlyMap<string, string>

class CheckpointRun {
  readonly #random: SeededRandom
  readonly #store = new MemoryObjectStore()
  readonly #options: OpenOptions
  /** What each sequence number saw, in the history that counts now. */
  readonly #states = new Map<number, State>([[0, new Map()]])
  readonly #checkpoints = new Map<string, State>()
  readonly #frozen: { reader: DbReader; state: State }[] = []
  #mortal = new MortalObjectStore(this.#store)
  #state: State = new Map()
  #db!: Db
  #follower!: DbReader

  constructor(seed: number, options: OpenOptions) {
    this.#random = new SeededRandom(seed)
    this.#options = { ...options, closeTimeoutMs: 0 }
  }

  async run(): Promise<void> {
    this.#db = await this.#open()
    this.#follower = await openReader({ store: this.#store }, { refreshIntervalMs: 0 })
    for (let step = 0; step < STEPS; step++) await this.#step(`step ${step}`)
    for (const { reader } of this.#frozen) await reader.close()
    await this.#follower.close()
    await this.#db.close().catch(() => {})
  }

  #open(): Promise<Db> {
    this.#mortal = new MortalObjectStore(this.#store)
    return open({ store: this.#mortal }, this.#options)
  }

  async #step(what: string): Promise<void> {
    const dice = this.#random.below(100)
    if (dice < 45) await this.#write()
    else if (dice < 53) await this.#db.flush()
    else if (dice < 57) await this.#db.compact()
    else if (dice < 67) await this.#checkpoint()
    else if (dice < 73) await this.#restore(what)
    else if (dice < 77) await this.#deleteCheckpoint()
    else if (dice < 83) await this.#openFrozen()
    else if (dice < 88) await this.#readFrozen(what)
    else if (dice < 93) await this.#follow(what)
    else if (dice < 95) await collectGarbage({ store: this.#store }, { graceMs: 0 })
    else await this.#reopen(dice < 97, what)
  }

  async #write(): Promise<void> {
    const batch = new WriteBatch()
    const next = new Map(this.#state)
    for (let i = this.#random.below(20); i >= 0; i--) {
      const key = `key-${this.#random.below(60)}`
      const value = `${this.#db.stats().lastSequence}-${i}`.padEnd(this.#random.below(400), '.')
      if (this.#random.chance(0.2)) {
        batch.delete(key)
        next.delete(key)
      } else {
        batch.put(key, value)
        next.set(key, value)
      }
    }
    await this.#db.write(batch)
    this.#become(next)
  }

  async #checkpoint(): Promise<void> {
    const state = this.#state
    const taken = this.#db.checkpoint()
    // Not part of it.
    const later = this.#random.chance(0.5) ? this.#write() : undefined
    this.#checkpoints.set((await taken).id, state)
    await later
  }

  async #restore(what: string): Promise<void> {
    const id = this.#someCheckpoint()
    if (id === undefined) return
    await this.#db.restore(id)
    this.#become(this.#checkpoints.get(id) as State)
    await this.#same(this.#db, this.#state, `${what}: restored`)
  }

  async #deleteCheckpoint(): Promise<void> {
    const id = this.#someCheckpoint()
    if (id === undefined || this.#checkpoints.size < 3) return
    await this.#db.deleteCheckpoint(id)
    this.#checkpoints.delete(id)
  }

  async #openFrozen(): Promise<void> {
    const checkpoint = this.#someCheckpoint()
    if (checkpoint === undefined || this.#frozen.length >= 3) return
    const reader = await openReader({ store: this.#store }, { checkpoint })
    this.#frozen.push({ reader, state: this.#checkpoints.get(checkpoint) as State })
  }

  async #readFrozen(what: string): Promise<void> {
    const [frozen] = this.#frozen
    if (frozen === undefined) return
    await this.#same(frozen.reader as never, frozen.state, `${what}: reader at a checkpoint`)
    await frozen.reader.close()
    this.#frozen.shift()
  }

  async #follow(what: string): Promise<void> {
    await this.#follower.refresh()
    const { lastSequence } = this.#follower.stats()
    const state = this.#states.get(lastSequence)
    expect(state, `${what}: sequence ${lastSequence} is between two batches`).toBeDefined()
    await this.#same(this.#follower as never, state as State, `${what}: following reader`)
  }

  async #reopen(kill: boolean, what: string): Promise<void> {
    if (kill) this.#mortal.kill()
    else await this.#db.close()
    const before = this.#db
    this.#db = await this.#open()
    if (kill) void before.close().catch(() => {})
    await this.#same(this.#db, this.#state, `${what}: ${kill ? 'killed' : 'closed'} and opened`)
    expect((await this.#db.checkpoints()).map(({ id }) => id)).toEqual([...this.#checkpoints.keys()])
  }

  #become(state: State): void {
    this.#state = state
    this.#states.set(this.#db.stats().lastSequence, state)
  }

  #someCheckpoint(): string | undefined {
    const ids = [...this.#checkpoints.keys()]
    return ids.length === 0 ? undefined : this.#random.pick(ids)
  }

  async #same(subject: Db, state: State, what: string): Promise<void> {
    expect(await contents(subject), what).toEqual(Object.fromEntries(state))
  }
}

describe('checkpoints against the model', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'moraine-checkpoint-model-'))
  })
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true })
  })

  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`with a local log, seed ${seed}`, async () => {
      const run = new CheckpointRun(seed, { ...SMALL, ...localLog(join(folder, 'wal')) })
      await expect(run.run()).resolves.toBeUndefined()
    })

    test(`with the log in the store, seed ${seed}`, async () => {
      const run = new CheckpointRun(seed, { ...SMALL, wal: { kind: 'object-store', flushIntervalMs: 0 } })
      await expect(run.run()).resolves.toBeUndefined()
    })
  }
})
