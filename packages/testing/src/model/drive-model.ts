import { type SeededRandom } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { Db, OpenOptions, Snapshot } from 'moraine'
import type { ManualWallClock } from '../sim/manual-wall-clock.ts'
import { bytes } from './latin1.ts'
import { ModelDatabase, type ModelMoment } from './model-database.ts'
import { ModelDraws } from './model-draws.ts'
import { type DrivenKeyspace, drivenKeyspaces } from './model-keyspaces.ts'
import type { ModelOperation } from './model-operation.ts'
import { ModelMismatch, ModelReads, readingOf, type ReadSubject } from './model-reads.ts'
import { driveConditionalPut, driveTransaction } from './model-transactions.ts'
import { ModelSideLives } from './model-side-lives.ts'
import { isEmptyOperation, writeAsBatch, writeOne } from './write-operations.ts'

/** A database under test: how to open it, and how to kill it without a goodbye. */
export interface ModelSubject {
  /** With these options on top of its own, at a prefix of the run's choice. */
  open(semantics: OpenOptions, prefix: string): Promise<Db>
  /** Makes everything that the running database does from now on fail; the next `open` is a new process. */
  kill(): Promise<void>
  /** Where it opens; given, the run takes checkpoints, opens readers, clones and unites as well. */
  readonly store?: ObjectStore
}

/** More than puts and deletes of one keyspace. */
export interface ModelSemantics {
  /** Moved forwards and backwards by the run; without it nothing expires. */
  readonly clock?: ManualWallClock
  /** Of the default keyspace; needs the clock. */
  readonly defaultTtlMs?: number
  /** A compaction filter works in one of the keyspaces. */
  readonly filter?: boolean
}

export interface DriveOptions {
  readonly random: SeededRandom
  readonly steps: number
  /** What a killed database may lose: nothing (`acknowledged`), or whatever was not flushed (`flushed`). */
  readonly survives: 'acknowledged' | 'flushed'
  /** The writes that the database has seen before it is opened here; all of them flushed. */
  readonly before?: readonly ModelOperation[]
  /** Merges, expiry and several keyspaces; left out: one keyspace of plain values. */
  readonly semantics?: ModelSemantics
}

/**
 * Does random things to a database and to the model, and compares every answer: puts, deletes, merges, range deletes and
 * batches of them, transactions and conditional writes among other writers, reads, scans in both directions with all bounds, snapshots, a clock that is set, flushes, compactions,
 * clean reopenings and kills, checkpoints, readers, clones and unions.
 */
export async function driveModel(subject: ModelSubject, options: DriveOptions): Promise<void> {
  const run = new ModelRun(subject, options)
  await run.start()
  for (let step = 0; step < options.steps; step++) await run.step(step)
  await run.finish()
}

const PLAIN: readonly DrivenKeyspace[] = [{ name: '', options: {} }]

interface HeldSnapshot {
  readonly snapshot: Snapshot
  readonly at: ModelMoment
}

class ModelRun {
  readonly #subject: ModelSubject
  readonly #options: DriveOptions
  readonly #random: SeededRandom
  readonly #keyspaces: readonly DrivenKeyspace[]
  readonly #draws: ModelDraws
  readonly #reads: ModelReads
  readonly #lives: ModelSideLives | undefined
  #model: ModelDatabase
  #db!: Db
  #prefix = 'model'
  #snapshots: HeldSnapshot[] = []
  /** The latest time that the database has seen. */
  #latestMs = 0

  constructor(subject: ModelSubject, options: DriveOptions) {
    const { semantics, random } = options
    this.#subject = subject
    this.#options = options
    this.#random = random
    this.#keyspaces = semantics === undefined ? PLAIN : drivenKeyspaces(semantics.defaultTtlMs, semantics.filter === true)
    this.#draws = new ModelDraws(random, this.#keyspaces, semantics?.clock !== undefined)
    this.#reads = new ModelReads(this.#draws)
    this.#model = new ModelDatabase(this.#keyspaces)
    this.#model.apply(options.before ?? [])
    const { store } = subject
    if (store !== undefined) this.#lives = new ModelSideLives({ store, draws: this.#draws, reads: this.#reads, keyspaces: this.#keyspaces, clock: semantics?.clock })
  }

  async start(): Promise<void> {
    this.#db = await this.#open(this.#prefix)
    this.#sawTime()
  }

  async step(step: number): Promise<void> {
    this.#draws.step = step
    // Runs of plain values draw as they always did.
    if (this.#options.semantics !== undefined && this.#random.chance(0.08)) return await this.#transact()
    const dice = this.#random.below(1000)
    if (dice < 370) await this.#write([this.#draws.operation()])
    else if (dice < 480) await this.#write(this.#draws.batch())
    else if (dice < 600) await this.#reads.one(this.#present())
    else if (dice < 640) await this.#reads.many(this.#present())
    else if (dice < 730) await this.#reads.some(this.#present())
    else if (dice < 760) this.#takeSnapshot()
    else if (dice < 805) await this.#readSnapshot()
    else if (dice < 820) this.#dropSnapshot()
    else if (dice < 860) await this.#db.flush()
    else if (dice < 880) await this.#compact()
    else if (dice < 920) this.#setClock()
    else if (dice < 935) await this.#reopen()
    else if (dice < 945) await this.#killAndReopen()
    else if (dice < 955) await this.#killWhileWriting()
    else await this.#lead()
  }

  async finish(): Promise<void> {
    await this.#compareWhole()
    await this.#lives?.finish()
    await this.#reopen()
    await this.#compareWhole()
    for (const { snapshot } of this.#snapshots.splice(0)) snapshot.close()
    await this.#db.compact()
    await this.#compareWhole()
    await this.#db.close()
  }

  #present(): ReadSubject {
    return this.#subjectOf(this.#draws.keyspace())
  }

  #subjectOf(keyspace: DrivenKeyspace, held?: HeldSnapshot): ReadSubject {
    const { snapshot, at = { sequence: this.#model.lastSequence, timeMs: this.#latestMs } } = held ?? {}
    const reading = readingOf(this.#db, keyspace, false)
    return { reading, keyspace, model: this.#model, at, snapshot, what: snapshot === undefined ? 'the present' : 'a snapshot' }
  }

  async #write(operations: readonly ModelOperation[]): Promise<void> {
    const [single] = operations
    await (operations.length === 1 && single !== undefined && this.#random.chance(0.8) ? this.#writeOne(single) : this.#writeBatch(operations))
    this.#model.apply(operations.filter((operation) => !isEmptyOperation(operation)), this.#latestMs)
  }

  async #transact(): Promise<void> {
    for (const { name, options } of this.#keyspaces) if (name !== '') this.#db.keyspace(name, options)
    const drive = this.#random.chance(0.7) ? driveTransaction : driveConditionalPut
    await drive({
      db: this.#db,
      model: this.#model,
      draws: this.#draws,
      keyspaces: this.#keyspaces,
      timeMs: this.#latestMs,
      write: (operations) => this.#write(operations),
    })
  }

  #writeOne(operation: ModelOperation): Promise<void> {
    const keyspace = this.#keyspaces.find(({ name }) => name === operation.keyspace)
    if (keyspace !== undefined && keyspace.name !== '') this.#db.keyspace(keyspace.name, keyspace.options)
    return writeOne(this.#db, operation)
  }

  async #writeBatch(operations: readonly ModelOperation[]): Promise<void> {
    for (const { name, options } of this.#keyspaces) if (name !== '') this.#db.keyspace(name, options)
    await writeAsBatch(this.#db, operations)
  }

  #takeSnapshot(): void {
    if (this.#snapshots.length >= 4) this.#dropSnapshot()
    const at = { sequence: this.#model.lastSequence, timeMs: this.#latestMs }
    this.#snapshots.push({ snapshot: this.#db.snapshot(), at })
  }

  async #readSnapshot(): Promise<void> {
    if (this.#snapshots.length === 0) return
    const held = this.#random.pick(this.#snapshots)
    const subject = this.#subjectOf(this.#draws.keyspace(), held)
    await this.#reads.one(subject)
    await this.#reads.many(subject)
    await this.#reads.some(subject)
  }

  #dropSnapshot(): void {
    const [dropped] = this.#snapshots.splice(this.#random.below(Math.max(1, this.#snapshots.length)), 1)
    dropped?.snapshot.close()
  }

  async #compact(): Promise<void> {
    const dice = this.#random.below(4)
    const { gte, lt } = this.#draws.range()
    if (dice < 2) await this.#db.compact()
    else if (dice === 2) await this.#db.compact({ gte: bytes(gte), lt: bytes(lt) })
    else {
      const keyspace = this.#draws.keyspace()
      if (keyspace.name !== '') await this.#db.keyspace(keyspace.name, keyspace.options).compact()
    }
  }

  /** Forwards by a little or a lot, or back: what has expired must stay expired. */
  #setClock(): void {
    const clock = this.#options.semantics?.clock
    if (clock === undefined) return
    const dice = this.#random.below(10)
    const stepMs = dice < 7 ? this.#random.below(4_000) : dice < 9 ? this.#random.below(60_000) : -this.#random.below(30_000)
    clock.set(clock.nowMs() + stepMs)
    this.#sawTime()
  }

  /** Lets the database look at the clock, so that the model knows what it has seen. */
  #sawTime(): void {
    const clock = this.#options.semantics?.clock
    if (clock === undefined) return
    this.#latestMs = Math.max(this.#latestMs, clock.nowMs())
    this.#db.snapshot().close()
  }

  /** A process that has committed nothing since it saw a time takes that time to its grave. */
  #catchUpClock(): void {
    const clock = this.#options.semantics?.clock
    if (clock !== undefined && clock.nowMs() < this.#latestMs) clock.set(this.#latestMs)
  }

  async #reopen(): Promise<void> {
    this.#snapshots = []
    await this.#db.close()
    this.#db = await this.#open(this.#prefix)
    const { lastSequence } = this.#db.stats()
    if (lastSequence === this.#model.lastSequence) return
    throw new ModelMismatch(this.#draws.step, `after a clean reopening the last sequence is ${lastSequence}, not ${this.#model.lastSequence}`)
  }

  async #killAndReopen(): Promise<void> {
    await this.#afterKill(this.#db.stats().flushedSequence, this.#model.lastSequence)
  }

  /** Writes that nobody was told of may be there afterwards, all of a batch or nothing, and none without those before it. */
  async #killWhileWriting(): Promise<void> {
    const acknowledged = this.#model.lastSequence
    const flushed = this.#db.stats().flushedSequence
    const ends = [acknowledged]
    const rounds = 1 + this.#random.below(4)
    for (let round = 0; round < rounds; round++) {
      const operations = this.#draws.batch().filter((operation) => !isEmptyOperation(operation))
      if (operations.length === 0) continue
      this.#writeBatch(operations).catch(() => {})
      this.#model.apply(operations, this.#latestMs)
      ends.push(this.#model.lastSequence)
      if (this.#random.chance(0.3)) this.#db.flush().catch(() => {})
    }
    for (let turn = this.#random.below(20); turn > 0; turn--) await Promise.resolve()
    if (this.#random.chance(0.5)) await this.#db.flush()
    const recovered = await this.#afterKill(flushed, acknowledged)
    if (recovered < acknowledged || ends.includes(recovered)) return
    throw new ModelMismatch(this.#draws.step, `after a kill the last sequence is ${recovered}, in the middle of a batch`)
  }

  async #afterKill(flushed: number, acknowledged: number): Promise<number> {
    this.#snapshots = []
    this.#catchUpClock()
    await this.#subject.kill()
    this.#db = await this.#open(this.#prefix)
    this.#sawTime()
    const recovered = this.#db.stats().lastSequence
    const least = this.#options.survives === 'acknowledged' ? acknowledged : flushed
    if (recovered < least || recovered > this.#model.lastSequence) {
      const most = this.#model.lastSequence
      throw new ModelMismatch(this.#draws.step, `after a kill ${recovered} writes are left, of ${most}; at least ${least} must be`)
    }
    this.#model.rollBackTo(recovered)
    await this.#compareWhole()
    return recovered
  }

  /** One of the things that need more than one database or process. */
  async #lead(): Promise<void> {
    if (this.#lives === undefined) return
    this.#catchUpClock()
    const { model, prefix } = await this.#lives.step({
      db: this.#db,
      model: this.#model,
      prefix: this.#prefix,
      timeMs: this.#latestMs,
      open: (at) => this.#open(at),
      survives: this.#options.survives,
      beforeRestore: () => {
        this.#snapshots = []
      },
    })
    this.#model = model
    if (prefix === this.#prefix) return
    this.#snapshots = []
    await this.#db.close()
    this.#prefix = prefix
    this.#db = await this.#open(prefix)
    this.#sawTime()
    this.#model.continueAfter(this.#db.stats().lastSequence)
    await this.#compareWhole()
  }

  async #compareWhole(): Promise<void> {
    for (const keyspace of this.#keyspaces) await this.#reads.whole(this.#subjectOf(keyspace))
  }

  #open(prefix: string): Promise<Db> {
    const { semantics } = this.#options
    if (semantics === undefined) return this.#subject.open({}, prefix)
    const [unnamed, ...named] = this.#keyspaces
    // Some are declared when opening, others when they are first used.
    const declared = named.filter(() => this.#random.chance(0.5)).map(({ name, options }) => [name, options] as const)
    return this.#subject.open(
      {
        ...unnamed?.options,
        keyspaces: Object.fromEntries(declared),
        ...(semantics.clock !== undefined && { clock: semantics.clock }),
      },
      prefix,
    )
  }
}
