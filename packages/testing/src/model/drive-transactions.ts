import { isMoraineError, type SeededRandom, utf8Decode } from '@moraine/base'
import type { Db, Entry, IsolationLevel, Transaction } from 'moraine'
import type { ModelBounds } from './model-database.ts'
import { HISTORY_KEYS, HistoryViolation, type RecordedChange, type RecordedStep, type RecordedTransaction, TransactionHistory } from './transaction-history.ts'

export interface DriveTransactionsOptions {
  readonly random: SeededRandom
  readonly steps: number
  /** The level of each transaction is one of these. */
  readonly isolation: readonly IsolationLevel[]
  /** Transactions open at a time. */
  readonly most: number
}

interface OpenScan {
  readonly stream: AsyncIterator<Entry, undefined, undefined>
  readonly step: RecordedStep & { kind: 'scan' }
}

interface OpenTransaction {
  readonly tx: Transaction
  readonly record: RecordedTransaction
  readonly scans: OpenScan[]
}

/**
 * Runs small transactions on a few keys of an empty database, their steps interleaved at random with each other, with plain
 * and conditional writes, and with flushes; then checks every answer and every outcome against the history of writes. The
 * same random does the same steps every time. Resolves to the history; rejects with a HistoryViolation.
 */
export async function driveTransactions(db: Db, options: DriveTransactionsOptions): Promise<TransactionHistory> {
  const driver = new TransactionDriver(db, options)
  await driver.run()
  return driver.history
}

class TransactionDriver {
  readonly history = new TransactionHistory()
  readonly #db: Db
  readonly #random: SeededRandom
  readonly #options: DriveTransactionsOptions
  readonly #pending: Promise<void>[] = []
  #open: OpenTransaction[] = []
  #values = 0

  constructor(db: Db, options: DriveTransactionsOptions) {
    this.#db = db
    this.#random = options.random
    this.#options = options
  }

  async run(): Promise<void> {
    for (let step = 0; step < this.#options.steps; step++) await this.#step()
    // Each commit takes itself off the list by replacing it.
    for (const open of this.#open) await this.#commit(open)
    await Promise.all(this.#pending)
    this.history.check()
    const found: [string, string][] = []
    for await (const [key, value] of this.#db.scan()) found.push([utf8Decode(key), utf8Decode(value)])
    const wanted = [...this.history.stateAt(this.history.lastSeq)].sort(([a], [b]) => (a < b ? -1 : 1))
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      throw new HistoryViolation(`in the end there is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
    }
  }

  async #step(): Promise<void> {
    const random = this.#random
    if (random.chance(0.04)) return await this.#db.flush()
    if (random.chance(0.08)) return await this.#plainWrite()
    if (random.chance(0.04)) return await this.#conditionalWrite()
    if (this.#open.length < this.#options.most && random.chance(0.25)) return this.#begin()
    if (this.#open.length === 0) return undefined
    const open = random.pick(this.#open)
    const dice = random.next()
    if (dice < 0.25) return await this.#write(open)
    if (dice < 0.5) return this.#get(open)
    if (dice < 0.62) return this.#startScan(open)
    if (dice < 0.85) return await this.#continueScan(open)
    if (dice < 0.97) return await this.#commit(open)
    this.#open = this.#open.filter((other) => other !== open)
    return await open.tx.rollback()
  }

  #begin(): void {
    const isolation = this.#random.pick(this.#options.isolation)
    const tx = this.#db.transaction({ isolation })
    const name = `transaction ${this.history.transactions.length} (${isolation})`
    const record: RecordedTransaction = { name, isolation, began: tx.version, steps: [] }
    this.history.transactions.push(record)
    this.#open.push({ tx, record, scans: [] })
  }

  async #write({ tx, record }: OpenTransaction): Promise<void> {
    const change = this.#someChange()
    record.steps.push(change)
    await applyTo(tx, change)
  }

  /** Whatever it waits for, the other steps go on. */
  #get({ tx, record }: OpenTransaction): void {
    const step: RecordedStep = { kind: 'get', key: this.#random.pick(HISTORY_KEYS) }
    record.steps.push(step)
    const many = this.#random.chance(0.3)
    const reading = many ? tx.getMany([step.key]).then(([value]) => value) : tx.get(step.key)
    this.#pending.push(
      reading.then((value) => {
        step.found = value === undefined ? undefined : utf8Decode(value)
      }),
    )
  }

  #startScan({ tx, record, scans }: OpenTransaction): void {
    const random = this.#random
    const bounds: { -readonly [Name in keyof ModelBounds]: ModelBounds[Name] } = {}
    if (random.chance(0.5)) bounds[random.chance(0.5) ? 'gt' : 'gte'] = random.pick(HISTORY_KEYS)
    if (random.chance(0.5)) bounds[random.chance(0.5) ? 'lt' : 'lte'] = random.pick(HISTORY_KEYS)
    if (random.chance(0.5)) bounds.reverse = true
    if (random.chance(0.3)) bounds.limit = random.below(4)
    const step = { kind: 'scan' as const, bounds, delivered: [], ranOut: false }
    record.steps.push(step)
    scans.push({ stream: tx.scan(bounds), step })
  }

  async #continueScan({ scans }: OpenTransaction): Promise<void> {
    if (scans.length === 0) return
    const { stream, step } = this.#random.pick(scans)
    for (let i = this.#random.below(4); i >= 0 && !step.ranOut; i--) {
      const next = await stream.next()
      if (next.done === true) step.ranOut = true
      else step.delivered.push([utf8Decode(next.value[0]), utf8Decode(next.value[1])])
    }
  }

  async #commit(open: OpenTransaction): Promise<void> {
    this.#open = this.#open.filter((other) => other !== open)
    const { record } = open
    const after = this.history.lastSeq
    const outcome = await outcomeOf(open.tx.commit())
    record.end = { after, outcome }
    if (outcome !== 'ok') return
    this.#written(record.steps.filter((step) => step.kind === 'write' || step.kind === 'deleteRange'))
  }

  async #plainWrite(): Promise<void> {
    const change = this.#someChange()
    await applyTo(this.#db, change)
    this.#written([change])
  }

  async #conditionalWrite(): Promise<void> {
    const key = this.#random.pick(HISTORY_KEYS)
    const entry = await this.#db.getEntry(key)
    const value = this.history.stateAt(this.history.lastSeq).get(key)
    const found = entry === undefined ? undefined : utf8Decode(entry.value)
    if (found !== value) throw new HistoryViolation(`getEntry(${key}) gave ${found}, not ${value}`)
    const present = entry?.version
    const wanted = this.#random.chance(0.5) ? undefined : this.#random.chance(0.8) ? (present ?? 0) : this.#random.below(this.history.lastSeq + 1)
    const change = { kind: 'write', key, value: this.#newValue() } as const
    const outcome = await outcomeOf(this.#db.put(key, change.value, wanted === undefined ? { ifAbsent: true } : { ifVersion: wanted }))
    const right = wanted === present ? 'ok' : 'CONFLICT'
    if (outcome !== right) throw new HistoryViolation(`a put of ${key} over version ${wanted} ended with ${outcome}, present was ${present}`)
    if (outcome === 'ok') this.#written([change])
  }

  #written(changes: readonly RecordedChange[]): void {
    if (changes.length > 0) this.history.writes.push({ seq: this.#db.stats().lastSequence, changes })
  }

  #someChange(): RecordedChange {
    const random = this.#random
    if (random.chance(0.12)) {
      const first = random.below(HISTORY_KEYS.length - 1)
      const last = Math.min(HISTORY_KEYS.length - 1, first + 1 + random.below(3))
      return { kind: 'deleteRange', gte: HISTORY_KEYS[first] as string, lt: HISTORY_KEYS[last] as string }
    }
    return { kind: 'write', key: random.pick(HISTORY_KEYS), value: random.chance(0.25) ? undefined : this.#newValue() }
  }

  #newValue(): string {
    return `value ${++this.#values}`
  }
}

async function applyTo(target: Transaction | Db, change: RecordedChange): Promise<void> {
  if (change.kind === 'deleteRange') await target.deleteRange({ gte: change.gte, lt: change.lt })
  else if (change.value === undefined) await target.delete(change.key)
  else await target.put(change.key, change.value)
}

async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (!isMoraineError(error)) throw error
    return error.code
  }
}
