import type { ObjectStore } from '@moraine/object-store'
import { clone, type Db, type DbReader, openReader } from 'moraine'
import type { ManualWallClock } from '../sim/manual-wall-clock.ts'
import { bytes } from './latin1.ts'
import type { ModelDatabase } from './model-database.ts'
import type { ModelDraws } from './model-draws.ts'
import type { DrivenKeyspace } from './model-keyspaces.ts'
import { ModelMismatch, type ModelReads, readingOf } from './model-reads.ts'
import { rangeBytes } from './write-operations.ts'

export interface SideLivesOptions {
  readonly store: ObjectStore
  readonly draws: ModelDraws
  readonly reads: ModelReads
  readonly keyspaces: readonly DrivenKeyspace[]
  readonly clock: ManualWallClock | undefined
}

/** The database that the run drives at the moment. */
export interface MainLife {
  readonly db: Db
  readonly model: ModelDatabase
  readonly prefix: string
  readonly timeMs: number
  readonly open: (prefix: string) => Promise<Db>
  readonly survives: 'acknowledged' | 'flushed'
  /** Snapshots end with a restore. */
  readonly beforeRestore: () => void
}

/** Where the run goes on. */
export type NextLife = Pick<MainLife, 'model' | 'prefix'>

interface FrozenReader {
  readonly reader: DbReader
  readonly model: ModelDatabase
}

const MOST_READERS = 3

/** What needs more than one process or database: checkpoints, restores, readers, clones, unions. */
export class ModelSideLives {
  readonly #options: SideLivesOptions
  readonly #draws: ModelDraws
  #checkpoints = new Map<string, ModelDatabase>()
  #frozen: FrozenReader[] = []
  #follower: DbReader | undefined
  #named = 0

  constructor(options: SideLivesOptions) {
    this.#options = options
    this.#draws = options.draws
  }

  async step(main: MainLife): Promise<NextLife> {
    const dice = this.#draws.random.below(20)
    if (dice < 6) await this.#checkpoint(main)
    else if (dice < 8) return await this.#restore(main)
    else if (dice < 11) await this.#readFrozen(main)
    else if (dice < 15) await this.#follow(main)
    else if (dice < 17) return await this.#clone(main)
    else return await this.#splitAndUnite(main)
    return main
  }

  async finish(): Promise<void> {
    for (const { reader } of this.#frozen.splice(0)) await reader.close()
    await this.#closeFollower()
  }

  async #checkpoint({ db, model }: MainLife): Promise<void> {
    if (this.#checkpoints.size >= 4) {
      const id = this.#draws.random.pick([...this.#checkpoints.keys()])
      await db.deleteCheckpoint(id)
      this.#checkpoints.delete(id)
    }
    const { id } = await db.checkpoint()
    this.#checkpoints.set(id, model.fork())
  }

  async #restore(main: MainLife): Promise<NextLife> {
    const id = this.#someCheckpoint()
    if (id === undefined) return main
    main.beforeRestore()
    await main.db.restore(id)
    const model = (this.#checkpoints.get(id) as ModelDatabase).fork()
    model.continueAfter(main.db.stats().lastSequence)
    await this.#compare(main.db, model, main.timeMs, 'restored', false)
    return { model, prefix: main.prefix }
  }

  /** A reader at a checkpoint shows its state for ever, less what expires. */
  async #readFrozen({ prefix, timeMs }: MainLife): Promise<void> {
    const id = this.#someCheckpoint()
    if (id !== undefined && this.#frozen.length < MOST_READERS) {
      const reader = await this.#openReader(prefix, id)
      this.#frozen.push({ reader, model: (this.#checkpoints.get(id) as ModelDatabase).fork() })
    }
    const at = this.#draws.random.below(Math.max(1, this.#frozen.length))
    const frozen = this.#frozen[at]
    if (frozen === undefined) return
    await this.#compare(frozen.reader, frozen.model, timeMs, 'a reader at a checkpoint', true)
    if (this.#draws.random.chance(0.4)) {
      this.#frozen.splice(at, 1)
      await frozen.reader.close()
    }
  }

  /** A reader that follows sees what is flushed and, where the log is in the store, all that was acknowledged. */
  async #follow({ db, model, prefix, timeMs }: MainLife): Promise<void> {
    this.#follower ??= await this.#openReader(prefix, undefined)
    await this.#follower.refresh()
    const { lastSequence: sequence } = this.#follower.stats()
    const { flushedSequence } = db.stats()
    if (sequence < flushedSequence || sequence > model.lastSequence) {
      throw new ModelMismatch(this.#draws.step, `a reader is at ${sequence}, the writer at ${model.lastSequence}, ${flushedSequence} is flushed`)
    }
    for (const keyspace of this.#options.keyspaces) {
      const reading = readingOf(this.#follower, keyspace, true)
      await this.#options.reads.whole({ reading, keyspace, model, at: { sequence, timeMs }, what: 'a following reader' })
    }
    if (this.#draws.random.chance(0.3)) await this.#closeFollower()
  }

  /** The run may go on in the clone, whose tables are another database's. */
  async #clone(main: MainLife): Promise<NextLife> {
    const { random } = this.#draws
    await main.db.flush()
    const checkpoint = random.chance(0.4) ? this.#someCheckpoint() : undefined
    const source = checkpoint === undefined ? main.model : (this.#checkpoints.get(checkpoint) as ModelDatabase)
    const range = random.chance(0.5) ? this.#draws.range() : {}
    const prefix = this.#newPrefix()
    await clone(this.#place(main.prefix), this.#place(prefix), {
      ...(checkpoint !== undefined && { checkpoint }),
      range: rangeBytes(range),
      ...this.#clock(),
    })
    const model = source.fork(range)
    if (random.chance(0.4)) return await this.#moveTo(prefix, model)
    const db = await main.open(prefix)
    await this.#compare(db, model, main.timeMs, 'a clone', false)
    await this.#live(db, model, main.timeMs)
    await db.close()
    return main
  }

  /** A database becomes two by a key, both live on by themselves, and the two become one again, where the run goes on. */
  async #splitAndUnite(main: MainLife): Promise<NextLife> {
    const { random } = this.#draws
    const middle = this.#draws.key()
    if (middle === '') return main
    await main.db.flush()
    const sources = []
    const united = main.model.fork({ lt: '' })
    for (const range of [{ lt: middle }, { gte: middle }]) {
      const prefix = this.#newPrefix()
      await clone(this.#place(main.prefix), this.#place(prefix), { range: rangeBytes(range), ...this.#clock() })
      const model = main.model.fork(range)
      const db = await main.open(prefix)
      model.continueAfter(db.stats().lastSequence)
      if (random.chance(0.6)) await this.#live(db, model, main.timeMs)
      await this.#compare(db, model, main.timeMs, 'a part', false)
      await db.close()
      united.takeIn(model, range)
      sources.push({ location: this.#place(prefix), range: rangeBytes(range) })
    }
    const prefix = this.#newPrefix()
    await clone(sources, this.#place(prefix), this.#clock())
    return await this.#moveTo(prefix, united)
  }

  /** Some writes, flushes and compactions in a database that is left afterwards. */
  async #live(db: Db, model: ModelDatabase, timeMs: number): Promise<void> {
    model.continueAfter(db.stats().lastSequence)
    for (let round = this.#draws.random.below(3); round >= 0; round--) {
      for (const keyspace of this.#options.keyspaces) {
        const target = keyspace.name === '' ? db : db.keyspace(keyspace.name, keyspace.options)
        const { gte, lt } = this.#draws.range()
        const key = this.#draws.key()
        await target.deleteRange({ gte: bytes(gte), lt: bytes(lt) })
        await target.put(bytes(key), bytes('12345678'))
        model.apply(
          [
            { kind: 'deleteRange', keyspace: keyspace.name, gte, lt },
            { kind: 'put', keyspace: keyspace.name, key, value: '12345678' },
          ],
          timeMs,
        )
      }
      await db.flush()
      if (this.#draws.random.chance(0.4)) await db.compact()
    }
    await this.#compare(db, model, timeMs, 'a clone that was written to', false)
  }

  async #moveTo(prefix: string, model: ModelDatabase): Promise<NextLife> {
    await this.finish()
    this.#checkpoints = new Map()
    return { prefix, model }
  }

  async #compare(source: Db | DbReader, model: ModelDatabase, timeMs: number, what: string, readOnly: boolean): Promise<void> {
    const at = { sequence: Number.POSITIVE_INFINITY, timeMs }
    for (const keyspace of this.#options.keyspaces) {
      const reading = readingOf(source, keyspace, readOnly)
      await this.#options.reads.whole({ reading, keyspace, model, at, what })
    }
  }

  #openReader(prefix: string, checkpoint: string | undefined): Promise<DbReader> {
    const unnamed = this.#options.keyspaces[0]?.mergeOperator
    return openReader(this.#place(prefix), {
      refreshIntervalMs: 0,
      ...(unnamed !== undefined && { mergeOperator: unnamed }),
      ...(checkpoint !== undefined && { checkpoint }),
      ...this.#clock(),
    })
  }

  async #closeFollower(): Promise<void> {
    await this.#follower?.close()
    this.#follower = undefined
  }

  #someCheckpoint(): string | undefined {
    return this.#checkpoints.size === 0 ? undefined : this.#draws.random.pick([...this.#checkpoints.keys()])
  }

  #clock(): { readonly clock?: ManualWallClock } {
    const { clock } = this.#options
    return clock === undefined ? {} : { clock }
  }

  #place(prefix: string): { readonly store: ObjectStore; readonly prefix: string } {
    return { store: this.#options.store, prefix }
  }

  #newPrefix(): string {
    return `model-${++this.#named}`
  }
}
