import { type Db, isMoraineError, type Transaction } from 'moraine'
import { bytes, text } from './latin1.ts'
import type { ModelDatabase, ModelMoment } from './model-database.ts'
import type { ModelDraws } from './model-draws.ts'
import type { DrivenKeyspace } from './model-keyspaces.ts'
import type { ModelOperation, PointOperation, RangeDelete } from './model-operation.ts'
import { ModelMismatch } from './model-reads.ts'
import { isEmptyOperation, rangeBytes } from './write-operations.ts'

export interface TransactionRun {
  readonly db: Db
  readonly model: ModelDatabase
  readonly draws: ModelDraws
  readonly keyspaces: readonly DrivenKeyspace[]
  /** The latest time that the database has seen. */
  readonly timeMs: number
  /** Writes to database and model outside of the transaction. */
  readonly write: (operations: readonly ModelOperation[]) => Promise<void>
}

/**
 * A transaction at either isolation level, while others write: what it reads is the state it began with under its own writes,
 * and its commit fails exactly when somebody else has written what it wrote, or at serializable also what it read.
 */
export async function driveTransaction(run: TransactionRun): Promise<void> {
  await new DrivenTransaction(run).run()
}

/** A write on a condition: it fails exactly when the condition does not hold. */
export async function driveConditionalPut({ db, model, draws, keyspaces, timeMs, write }: TransactionRun): Promise<void> {
  const { name } = draws.random.pick(unfiltered(keyspaces))
  const key = draws.key()
  const target = name === '' ? db : db.keyspace(name)
  const entry = await target.getEntry(bytes(key))
  const wanted = model.get(name, key, { sequence: model.lastSequence, timeMs })
  same(draws.step, entry === undefined ? undefined : text(entry.value), wanted, `getEntry(${JSON.stringify(key)})`)
  const condition = draws.random.chance(0.5) ? { ifAbsent: true } : { ifVersion: (entry?.version ?? 0) + draws.random.below(2) }
  if (draws.random.chance(0.2)) await write([{ kind: 'put', keyspace: name, key, value: wanted ?? 'x'.repeat(8) }])
  const now = await target.getEntry(bytes(key))
  const met = 'ifAbsent' in condition ? now === undefined : now?.version === condition.ifVersion
  const value = wanted ?? 'y'.repeat(8)
  const failed = await target.put(bytes(key), bytes(value), condition).then(
    () => false,
    (error: unknown) => {
      if (isMoraineError(error, 'CONFLICT')) return true
      throw error
    },
  )
  same(draws.step, failed, !met, `the conflict of a put of ${JSON.stringify(key)} with ${JSON.stringify(condition)}`)
  if (!failed) model.apply([{ kind: 'put', keyspace: name, key, value }], timeMs)
}

class DrivenTransaction {
  readonly #run: TransactionRun
  readonly #serializable: boolean
  readonly #tx: Transaction
  /** What the transaction sees: the state at its beginning, and its own writes on top. */
  readonly #view: ModelDatabase
  readonly #points = new Map<string, PointOperation>()
  #range: RangeDelete | undefined
  readonly #readKeys = new Set<string>()
  readonly #scanned = new Set<string>()

  constructor(run: TransactionRun) {
    this.#run = run
    this.#serializable = run.draws.random.chance(0.5)
    this.#tx = run.db.transaction({ isolation: this.#serializable ? 'serializable' : 'snapshot' })
    this.#view = run.model.fork()
  }

  async run(): Promise<void> {
    const { draws, model, timeMs, write } = this.#run
    const { random } = draws
    for (let steps = 1 + random.below(8); steps > 0; steps--) await this.#step()
    const others: ModelOperation[] = []
    if (random.chance(0.5)) {
      others.push(...Array.from({ length: 1 + random.below(2) }, () => draws.operation()).filter((operation) => !isEmptyOperation(operation)))
      for (const operation of others) await write([operation])
    }
    if (random.chance(0.1)) return await this.#tx.rollback()
    const own = [...(this.#range === undefined ? [] : [this.#range]), ...this.#points.values()]
    const wanted = (own.length > 0 || this.#serializable) && others.some((operation) => this.#meets(operation))
    const failed = await this.#tx.commit().then(
      () => false,
      (error: unknown) => {
        if (isMoraineError(error, 'CONFLICT')) return true
        throw error
      },
    )
    same(draws.step, failed, wanted, `the conflict of a transaction of ${own.length} writes with ${JSON.stringify(others)}`)
    if (!failed) model.apply(own, timeMs)
  }

  async #step(): Promise<void> {
    const { draws, keyspaces } = this.#run
    const dice = draws.random.below(10)
    const { name } = draws.random.pick(unfiltered(keyspaces))
    if (dice < 3) return await this.#get(name, draws.key())
    if (dice < 4) return await this.#scan(name)
    const operation = draws.operation()
    if (operation.kind === 'deleteRange') {
      if (this.#range === undefined && !isEmptyOperation(operation)) await this.#deleteRange(operation)
    } else if (operation.kind !== 'merge') {
      await this.#write(operation)
    }
  }

  async #get(keyspace: string, key: string): Promise<void> {
    const found = await this.#tx.get(bytes(key), optionsOf(keyspace))
    same(this.#run.draws.step, found === undefined ? undefined : text(found), this.#view.get(keyspace, key, this.#moment()), `a transaction's get(${JSON.stringify(key)})`)
    const own = this.#points.has(spell(keyspace, key)) || (this.#range !== undefined && holds(this.#range, keyspace, key))
    if (!own) this.#readKeys.add(spell(keyspace, key))
  }

  async #scan(keyspace: string): Promise<void> {
    const found: string[] = []
    for await (const [key, value] of this.#tx.scan(optionsOf(keyspace))) found.push(`${text(key)}=${text(value)}`)
    const wanted = this.#view.scan(keyspace, {}, this.#moment()).map(([key, value]) => `${key}=${value}`)
    same(this.#run.draws.step, found.join('\n'), wanted.join('\n'), `a transaction's scan of '${keyspace}'`)
    this.#scanned.add(keyspace)
  }

  async #write(operation: PointOperation): Promise<void> {
    const { keyspace = '', key, value = '', ttlMs } = operation
    const options = optionsOf(keyspace)
    if (operation.kind === 'delete') await this.#tx.delete(bytes(key), options)
    else await this.#tx.put(bytes(key), bytes(value), { ...options, ...(ttlMs !== undefined && { ttlMs }) })
    this.#points.set(spell(keyspace, key), operation)
    this.#view.apply([operation], this.#run.timeMs)
  }

  async #deleteRange(range: RangeDelete): Promise<void> {
    await this.#tx.deleteRange(rangeBytes(range), optionsOf(range.keyspace ?? ''))
    this.#range = range
    for (const [name, { keyspace = '', key }] of this.#points) if (holds(range, keyspace, key)) this.#points.delete(name)
    this.#view.apply([range], this.#run.timeMs)
  }

  /** Whether a write of somebody else is one that the commit must not pass over. */
  #meets(other: ModelOperation): boolean {
    const keyspace = other.keyspace ?? ''
    if (this.#serializable && this.#scanned.has(keyspace)) return true
    if (this.#range !== undefined && (this.#range.keyspace ?? '') === keyspace) {
      if (other.kind === 'deleteRange' ? overlap(this.#range, other) : holds(this.#range, keyspace, other.key)) return true
    }
    const watched = [...this.#points.keys(), ...(this.#serializable ? this.#readKeys : [])]
    if (other.kind !== 'deleteRange') return watched.includes(spell(keyspace, other.key))
    return watched.some((name) => name.startsWith(`${keyspace}\n`) && holds(other, keyspace, name.slice(keyspace.length + 1)))
  }

  #moment(): ModelMoment {
    return { sequence: Number.POSITIVE_INFINITY, timeMs: this.#run.timeMs }
  }
}

/** What a filter has made of a value at some time nobody can tell, so its keyspace is left out. */
function unfiltered(keyspaces: readonly DrivenKeyspace[]): readonly DrivenKeyspace[] {
  return keyspaces.filter(({ filtered }) => filtered === undefined)
}

function optionsOf(keyspace: string): { keyspace?: string } {
  return keyspace === '' ? {} : { keyspace }
}

function spell(keyspace: string, key: string): string {
  return `${keyspace}\n${key}`
}

function holds({ keyspace: name = '', gte, lt }: RangeDelete, keyspace: string, key: string): boolean {
  return name === keyspace && (gte === undefined || key >= gte) && (lt === undefined || key < lt)
}

function overlap(a: RangeDelete, b: RangeDelete): boolean {
  return (a.lt === undefined || b.gte === undefined || b.gte < a.lt) && (b.lt === undefined || a.gte === undefined || a.gte < b.lt)
}

function same(step: number, found: unknown, wanted: unknown, what: string): void {
  if (found !== wanted) throw new ModelMismatch(step, `${what} was ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
}
