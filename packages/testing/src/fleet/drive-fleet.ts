import { type Random, SeededRandom } from '@moraine/base'
import { LatencyObjectStore, MemoryObjectStore, type ObjectStore } from '@moraine/object-store'
import {
  clone,
  collectGarbage,
  type Db,
  type DbReader,
  destroy,
  isMoraineError,
  open,
  openReader,
  type OpenOptions,
  verify,
} from 'moraine'
import { ModelDatabase } from '../model/model-database.ts'
import type { ModelOperation } from '../model/model-operation.ts'
import { MortalObjectStore } from '../model/mortal-object-store.ts'
import { writeAsBatch, writeOne } from '../model/write-operations.ts'
import { SimulatedClock } from '../sim/simulated-clock.ts'
import { drawKey, drawOperation, drawRange } from './fleet-draws.ts'
import { FleetDatabase, type FleetWriter } from './fleet-database.ts'
import { difference, FLEET_KEYSPACES } from './fleet-model.ts'

export interface FleetOptions {
  readonly seed: number
  readonly steps: number
  readonly settings: OpenOptions
  /** What a kill leaves: every acknowledged write, or every flushed one. */
  readonly survives: 'acknowledged' | 'flushed'
}

interface FleetReader {
  readonly reader: DbReader
  readonly database: FleetDatabase
  /** What it must show for ever, when it stands at a checkpoint. */
  readonly frozen: ModelDatabase | undefined
}

const MOST_DATABASES = 6
const MOST_READERS = 4

const FLEET_SETTINGS: OpenOptions = {
  ...FLEET_KEYSPACES[0]?.options,
  keyspaces: Object.fromEntries(FLEET_KEYSPACES.slice(1).map(({ name, options }) => [name, options])),
}

/**
 * Several engines at once on one store, each against its model: writes, flushes, compactions, checkpoints, restores,
 * clones, projections, unions, readers, collections, takeovers and kills in random order, on a simulated clock, over a
 * store with random latencies. The same seed does the same things. Returns what was done, for the curious.
 */
export async function driveFleet(options: FleetOptions): Promise<ReadonlyMap<string, number>> {
  const fleet = new Fleet(options)
  await fleet.run()
  return fleet.done
}

class Fleet {
  readonly done = new Map<string, number>()
  readonly #options: FleetOptions
  readonly #random: SeededRandom
  readonly #clock = new SimulatedClock()
  readonly #store: ObjectStore
  #databases: FleetDatabase[] = []
  #readers: FleetReader[] = []
  #named = 0
  #step = 0
  #action = ''

  constructor(options: FleetOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    const memory = new MemoryObjectStore({ clock: this.#clock })
    this.#store = new LatencyObjectStore(memory, { clock: this.#clock, random: this.#random, minMs: 1, maxMs: 20 })
  }

  async run(): Promise<void> {
    this.#databases.push(new FleetDatabase(this.#newPrefix(), new ModelDatabase(FLEET_KEYSPACES)))
    for (this.#step = 0; this.#step < this.#options.steps; this.#step++) {
      const [action, run] = this.#choose()
      this.#action = action
      this.done.set(action, (this.done.get(action) ?? 0) + 1)
      try {
        await run()
      } catch (error) {
        throw new Error(`seed ${this.#options.seed}, step ${this.#step} (${action}): ${String(error)}`, { cause: error })
      }
    }
    this.#action = 'the end'
    await this.#finish()
  }

  #choose(): [string, () => Promise<void>] {
    const actions: [number, string, () => Promise<void>][] = [
      [300, 'write', () => this.#write()],
      [100, 'compare', () => this.#compare(this.#database())],
      [60, 'flush', () => this.#flush()],
      [30, 'compact', () => this.#compact()],
      [60, 'checkpoint', () => this.#checkpoint()],
      [20, 'delete checkpoint', () => this.#deleteCheckpoint()],
      [15, 'restore', () => this.#restore()],
      [40, 'open reader', () => this.#openReader()],
      [80, 'read with reader', () => this.#readReader()],
      [30, 'close reader', () => this.#closeReader()],
      [30, 'clone', () => this.#clone()],
      [15, 'split and unite', () => this.#splitAndUnite()],
      [15, 'detach', () => this.#detach()],
      [10, 'destroy', () => this.#destroy()],
      [40, 'collect', () => this.#collect()],
      [25, 'take over', () => this.#takeOver()],
      [20, 'kill', () => this.#kill()],
      [50, 'kill in the middle', () => this.#killInTheMiddle()],
      [60, 'all at once', () => this.#allAtOnce()],
      [30, 'close', () => this.#close(this.#database())],
      [40, 'wait', () => this.#clock.advance(this.#random.below(30_000))],
    ]
    let dice = this.#random.below(actions.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, name, run] of actions) {
      if (dice < weight) return [name, run]
      dice -= weight
    }
    throw new Error('the dice fell off the table')
  }

  // --- what happens ---

  async #write(): Promise<void> {
    const database = this.#database()
    const { db } = await this.#writer(database)
    const operations = Array.from({ length: 1 + this.#random.below(20) }, () => this.#operation())
    const nowMs = this.#clock.nowMs()
    await this.#drive(writeAsBatch(db, operations))
    database.model.apply(operations, nowMs)
  }

  async #flush(): Promise<void> {
    const { db } = await this.#writer(this.#database())
    await this.#drive(db.flush())
  }

  async #compact(): Promise<void> {
    const { db } = await this.#writer(this.#database())
    await this.#drive(db.compact())
  }

  async #checkpoint(): Promise<void> {
    const database = this.#database()
    const { db } = await this.#writer(database)
    const checkpoint = await this.#drive(db.checkpoint({ metadata: { step: this.#step } }))
    database.checkpoints.set(checkpoint.id, database.model.fork())
    if ((checkpoint.metadata as { step: number }).step !== this.#step) throw new Error('the metadata is not what was given')
  }

  async #deleteCheckpoint(): Promise<void> {
    const database = this.#database()
    const id = this.#pickCheckpoint(database)
    if (id === undefined) return
    const { db } = await this.#writer(database)
    await this.#drive(db.deleteCheckpoint(id))
    database.checkpoints.delete(id)
  }

  async #restore(): Promise<void> {
    const database = this.#database()
    const id = this.#pickCheckpoint(database)
    if (id === undefined) return
    const { db } = await this.#writer(database)
    await this.#drive(db.restore(id))
    database.become(database.checkpoints.get(id) as ModelDatabase, db.stats().lastSequence)
    await this.#compare(database)
  }

  async #openReader(): Promise<void> {
    if (this.#readers.length >= MOST_READERS) return
    const database = this.#database()
    const checkpoint = this.#random.chance(0.5) ? this.#pickCheckpoint(database) : undefined
    await this.#writer(database)
    const reader = await this.#drive(
      openReader(this.#location(database), {
        ...(checkpoint !== undefined && { checkpoint }),
        clock: this.#clock,
        random: this.#random,
      }),
    )
    const frozen = checkpoint === undefined ? undefined : database.checkpoints.get(checkpoint)
    this.#readers.push({ reader, database, frozen })
  }

  async #readReader(): Promise<void> {
    if (this.#readers.length === 0) return
    const { reader, database, frozen } = this.#random.pick(this.#readers)
    if (frozen !== undefined) {
      await this.#same(reader, frozen, `a reader at a checkpoint of ${database.prefix}`)
      return
    }
    await this.#drive(reader.refresh())
    const { writer } = database
    if (writer === undefined) return
    // With the log in the store it follows the log's tail as well, and so sees every acknowledged write.
    const { flushedSequence, lastSequence } = writer.db.stats()
    const visible = this.#options.survives === 'acknowledged' ? lastSequence : flushedSequence
    await this.#same(reader, database.model, `a following reader of ${database.prefix}`, visible)
  }

  async #closeReader(): Promise<void> {
    const [closed] = this.#readers.splice(this.#random.below(Math.max(1, this.#readers.length)), 1)
    if (closed !== undefined) await this.#drive(closed.reader.close())
  }

  async #clone(): Promise<void> {
    if (this.#databases.length >= MOST_DATABASES) return
    const source = this.#database()
    const { db } = await this.#writer(source)
    await this.#drive(db.flush())
    const checkpoint = this.#random.chance(0.4) ? this.#pickCheckpoint(source) : undefined
    const range = this.#random.chance(0.4) ? drawRange(this.#random) : undefined
    const whole = checkpoint === undefined ? source.model : (source.checkpoints.get(checkpoint) as ModelDatabase)
    const state = whole.fork(range)
    await this.#makeClone([source], state, (target) =>
      clone(this.#location(source), target, {
        ...(checkpoint !== undefined && { checkpoint }),
        ...(range !== undefined && { range }),
        clock: this.#clock,
        random: this.#random,
      }),
    )
  }

  /** A database becomes two by key range, and the two become one again. */
  async #splitAndUnite(): Promise<void> {
    if (this.#databases.length > MOST_DATABASES - 3) return
    const source = this.#database()
    const { db } = await this.#writer(source)
    await this.#drive(db.flush())
    const middle = drawKey(this.#random)
    const state = source.model.fork()
    const options = { clock: this.#clock, random: this.#random }
    const low = await this.#makeClone([source], state.fork({ lt: middle }), (target) =>
      clone(this.#location(source), target, { range: { lt: middle }, ...options }),
    )
    const high = await this.#makeClone([source], state.fork({ gte: middle }), (target) =>
      clone(this.#location(source), target, { range: { gte: middle }, ...options }),
    )
    await this.#makeClone([source, low, high], state, (target) =>
      clone(
        [
          { location: this.#location(low), range: { lt: middle } },
          { location: this.#location(high), range: { gte: middle } },
        ],
        target,
        options,
      ),
    )
  }

  async #makeClone(
    sources: readonly FleetDatabase[],
    state: ModelDatabase,
    make: (target: { store: ObjectStore; prefix: string }) => Promise<unknown>,
  ): Promise<FleetDatabase> {
    const target = new FleetDatabase(this.#newPrefix(), state)
    await this.#drive(make(this.#location(target)))
    for (const source of sources) source.clones.add(target)
    this.#databases.push(target)
    const { db } = await this.#writer(target)
    target.become(state, db.stats().lastSequence)
    await this.#compare(target)
    return target
  }

  async #detach(): Promise<void> {
    const database = this.#database()
    const { db } = await this.#writer(database)
    try {
      await this.#drive(db.detach())
    } catch (error) {
      // A checkpoint or a reader may still hold on to what was borrowed.
      const held = database.checkpoints.size > 0 || this.#readers.some((reader) => reader.database === database)
      if (!isMoraineError(error, 'CONFLICT') || !held) throw error
    }
    await this.#compare(database)
  }

  async #destroy(): Promise<void> {
    if (this.#databases.length < 3) return
    const database = this.#database()
    await this.#close(database)
    try {
      await this.#drive(destroy(this.#location(database), { clock: this.#clock, random: this.#random }))
    } catch (error) {
      // Pinned by a clone or a reader, which is the point of pins.
      if (!isMoraineError(error, 'CONFLICT')) throw error
      await this.#compare(database)
      return
    }
    this.#databases = this.#databases.filter((other) => other !== database)
    if (this.#readers.some((reader) => reader.database === database)) throw new Error('destroyed under a reader')
  }

  async #collect(): Promise<void> {
    const database = this.#database()
    await this.#writer(database)
    await this.#drive(
      collectGarbage(this.#location(database), { graceMs: 0, force: true, clock: this.#clock, random: this.#random }),
    )
  }

  async #takeOver(): Promise<void> {
    const database = this.#database()
    const former = await this.#writer(database)
    const flushed = former.db.stats().flushedSequence
    const next = await this.#openWriter(database)
    database.writer = next
    this.#settle(database, next, flushed)
    // The former owner finds out at the latest when it wants to commit.
    try {
      await this.#drive(former.db.put('fenced', 'x'))
      await this.#drive(former.db.flush())
    } catch (error) {
      if (!isMoraineError(error, 'FENCED')) throw error
      former.process.kill()
      await this.#compare(database)
      return
    }
    throw new Error('the former owner could still flush')
  }

  async #kill(): Promise<void> {
    const database = this.#database()
    if (database.writer === undefined) return
    const flushed = database.writer.db.stats().flushedSequence
    database.writer.process.kill()
    database.writer = undefined
    const next = await this.#openWriter(database)
    database.writer = next
    this.#settle(database, next, flushed)
    await this.#compare(database)
  }

  /** A process dies while it does something; what it did not acknowledge may or may not have happened. */
  async #killInTheMiddle(): Promise<void> {
    const database = this.#database()
    const { db, process } = await this.#writer(database)
    const acknowledged = database.model.lastSequence
    const flushed = db.stats().flushedSequence
    const before = database.model.fork()
    const doing = this.#random.below(4)
    let work: Promise<unknown>
    if (doing === 0) {
      const operations = Array.from({ length: 1 + this.#random.below(20) }, () => this.#operation())
      database.model.apply(operations, this.#clock.nowMs())
      work = Promise.all(operations.map((operation) => writeOne(db, operation)))
    } else {
      work = doing === 1 ? db.flush() : doing === 2 ? db.compact() : db.checkpoint()
    }
    work.catch(() => {})
    await this.#clock.advance(this.#random.below(120))
    process.kill()
    database.writer = undefined
    const next = await this.#openWriter(database)
    database.writer = next
    const { lastSequence } = next.db.stats()
    const least = this.#options.survives === 'acknowledged' ? acknowledged : flushed
    if (lastSequence < least) throw new Error(`${database.prefix} is at sequence ${lastSequence}, ${least} was safe`)
    database.model.rollBackTo(lastSequence)
    await this.#compare(database)
    // The checkpoint may have been committed although nobody was told.
    for (const { id } of await this.#drive(next.db.checkpoints())) {
      if (!database.checkpoints.has(id)) database.checkpoints.set(id, before)
    }
  }

  /** Things that may overlap, overlapping. */
  async #allAtOnce(): Promise<void> {
    const database = this.#database()
    const other = this.#database()
    const { db } = await this.#writer(database)
    const { db: otherDb } = await this.#writer(other)
    const options = { graceMs: 0, force: true, clock: this.#clock, random: this.#random }
    const operations = Array.from({ length: 10 }, () => this.#operation())
    const state = database.model.fork()
    const nowMs = this.#clock.nowMs()
    const [checkpoint] = await this.#drive(
      Promise.all([
        db.checkpoint(),
        ...operations.map((operation) => writeOne(db, operation)),
        db.flush(),
        db.compact(),
        otherDb.compact(),
        collectGarbage(this.#location(database), options),
        collectGarbage(this.#location(other), options),
      ]),
    )
    database.model.apply(operations, nowMs)
    database.checkpoints.set(checkpoint.id, state)
    await this.#compare(database)
  }

  async #close(database: FleetDatabase): Promise<void> {
    const { writer } = database
    if (writer === undefined) return
    database.writer = undefined
    await this.#drive(writer.db.close())
  }

  async #finish(): Promise<void> {
    for (const { reader } of this.#readers) await this.#drive(reader.close())
    for (const database of this.#databases) {
      await this.#compare(database)
      const { db } = await this.#writer(database)
      for (const [id, state] of database.checkpoints) {
        const reader = await this.#drive(
          openReader(this.#location(database), { checkpoint: id, clock: this.#clock, random: this.#random }),
        )
        await this.#same(reader, state, `checkpoint ${id} of ${database.prefix}`)
        await this.#drive(reader.close())
      }
      await this.#drive(db.compact())
      await this.#compare(database)
    }
    for (const database of this.#databases) await this.#close(database)
    for (const database of this.#databases) await this.#checkObjects(database)
  }

  /** Every object that is referred to is whole; after a collection nothing is left that is not. */
  async #checkObjects(database: FleetDatabase): Promise<void> {
    // A collection from outside leaves the last owner's epoch alone, so there has to be another one.
    await this.#writer(database)
    await this.#close(database)
    const options = { graceMs: 0, force: true, clock: this.#clock, random: this.#random }
    await this.#drive(collectGarbage(this.#location(database), options))
    const report = await this.#drive(verify(this.#location(database), { deep: true, orphans: true }))
    for (const problem of report.problems) throw new Error(`${database.prefix}: ${JSON.stringify(problem)}`)
    for (const orphan of report.orphans ?? []) throw new Error(`${database.prefix}: ${orphan.name} is an orphan`)
  }

  // --- how it is done ---

  /** After a kill or a takeover: the model loses what the database may lose, and not more. */
  #settle(database: FleetDatabase, writer: FleetWriter, flushed: number): void {
    const { lastSequence } = writer.db.stats()
    const least = this.#options.survives === 'acknowledged' ? database.model.lastSequence : flushed
    if (lastSequence < least) throw new Error(`${database.prefix} is at sequence ${lastSequence}, ${least} was safe`)
    database.model.rollBackTo(lastSequence)
  }

  async #compare(database: FleetDatabase): Promise<void> {
    const { db } = await this.#writer(database)
    await this.#same(db, database.model, database.prefix)
  }

  async #same(source: Db | DbReader, model: ModelDatabase, what: string, sequence?: number): Promise<void> {
    const different = await difference(source, model, this.#clock, (promise) => this.#drive(promise), sequence)
    if (different !== undefined) throw new Error(`${what}, ${this.#action}: ${different}`)
  }

  async #writer(database: FleetDatabase): Promise<FleetWriter> {
    return (database.writer ??= await this.#openWriter(database))
  }

  async #openWriter(database: FleetDatabase): Promise<FleetWriter> {
    const process = new MortalObjectStore(this.#store)
    const random: Random = this.#random
    const db = await this.#drive(
      open({ store: process, prefix: database.prefix }, { ...this.#options.settings, ...FLEET_SETTINGS, clock: this.#clock, random }),
    )
    return { db, process }
  }

  #drive<T>(promise: Promise<T>): Promise<T> {
    return this.#clock.drive(promise)
  }

  #location(database: FleetDatabase): { store: ObjectStore; prefix: string } {
    return { store: this.#store, prefix: database.prefix }
  }

  #database(): FleetDatabase {
    return this.#random.pick(this.#databases)
  }

  #pickCheckpoint(database: FleetDatabase): string | undefined {
    return database.checkpoints.size === 0 ? undefined : this.#random.pick([...database.checkpoints.keys()])
  }

  #newPrefix(): string {
    return `fleet/db-${++this.#named}`
  }

  #operation(): ModelOperation {
    return drawOperation(this.#random, this.#step)
  }
}
