import { type SeededRandom } from '@moraine/base'
import { type Db, type Snapshot, WriteBatch } from 'moraine'
import { type ModelBounds, ModelDatabase, type ModelOperation } from './model-database.ts'

/** A database under test: how to open it, and how to kill it without a goodbye. */
export interface ModelSubject {
  open(): Promise<Db>
  /** Makes everything that the running database does from now on fail; the next `open` is a new process. */
  kill(): Promise<void>
}

export interface DriveOptions {
  readonly random: SeededRandom
  readonly steps: number
  /** What a killed database may lose: nothing (`acknowledged`), or whatever was not flushed (`flushed`). */
  readonly survives: 'acknowledged' | 'flushed'
  /** The writes that the database has seen before it is opened here; all of them flushed. */
  readonly before?: readonly ModelOperation[]
}

/** Thrown when database and model disagree; says at which step. */
export class ModelMismatch extends Error {
  constructor(step: number, what: string) {
    super(`step ${step}: ${what}`)
    this.name = 'ModelMismatch'
  }
}

/**
 * Does random things to a database and to the model, and compares every answer: puts, deletes, batches, reads, scans in
 * both directions with all bounds, snapshots, flushes, compactions, clean reopenings and kills.
 */
export async function driveModel(subject: ModelSubject, options: DriveOptions): Promise<void> {
  const run = new ModelRun(subject, options)
  await run.start()
  for (let step = 0; step < options.steps; step++) await run.step(step)
  await run.finish()
}

class ModelRun {
  readonly #subject: ModelSubject
  readonly #random: SeededRandom
  readonly #options: DriveOptions
  readonly #model = new ModelDatabase()
  #db!: Db
  #snapshots: { snapshot: Snapshot; state: ReadonlyMap<string, string> }[] = []
  #step = 0

  constructor(subject: ModelSubject, options: DriveOptions) {
    this.#subject = subject
    this.#random = options.random
    this.#options = options
    this.#model.apply(options.before ?? [])
  }

  async start(): Promise<void> {
    this.#db = await this.#subject.open()
  }

  async step(step: number): Promise<void> {
    this.#step = step
    const dice = this.#random.below(1000)
    if (dice < 330) await this.#write([this.#randomPut()])
    else if (dice < 450) await this.#write([{ key: this.#key(), value: undefined }])
    else if (dice < 530) await this.#write(this.#randomBatch())
    else if (dice < 690) await this.#readOne()
    else if (dice < 730) await this.#readMany()
    else if (dice < 850) await this.#scan()
    else if (dice < 880) this.#takeSnapshot()
    else if (dice < 930) await this.#readSnapshot()
    else if (dice < 945) this.#dropSnapshot()
    else if (dice < 975) await this.#db.flush()
    else if (dice < 983) await this.#db.compact()
    else if (dice < 992) await this.#reopen()
    else await this.#killAndReopen()
  }

  async finish(): Promise<void> {
    await this.#compareWhole()
    await this.#reopen()
    await this.#compareWhole()
    await this.#db.close()
  }

  #key(): string {
    const { below } = { below: (bound: number) => this.#random.below(bound) }
    if (below(50) === 0) return ''
    const shape = below(3)
    if (shape === 0) return `k${below(300)}`
    if (shape === 1) return `user/${String(below(40)).padStart(6, '0')}/${'x'.repeat(below(12))}`
    return String.fromCharCode(...Array.from({ length: 1 + below(4) }, () => [0, 1, 97, 98, 254, 255][below(6)] as number))
  }

  #value(): string {
    const size = this.#random.below(20) === 0 ? this.#random.below(6000) : this.#random.below(60)
    return `${this.#step}:`.padEnd(size, String.fromCharCode(65 + this.#random.below(26)))
  }

  #randomPut(): ModelOperation {
    return { key: this.#key(), value: this.#value() }
  }

  #randomBatch(): ModelOperation[] {
    const size = 1 + this.#random.below(30)
    return Array.from({ length: size }, () =>
      this.#random.below(4) === 0 ? { key: this.#key(), value: undefined } : this.#randomPut(),
    )
  }

  async #write(operations: readonly ModelOperation[]): Promise<void> {
    const single = operations.length === 1 ? operations[0] : undefined
    let done: Promise<void>
    if (single !== undefined) {
      done = single.value === undefined ? this.#db.delete(bytes(single.key)) : this.#db.put(bytes(single.key), bytes(single.value))
    } else {
      const batch = new WriteBatch()
      for (const { key, value } of operations) {
        if (value === undefined) batch.delete(bytes(key))
        else batch.put(bytes(key), bytes(value))
      }
      done = this.#db.write(batch)
    }
    await done
    this.#model.apply(operations)
  }

  async #readOne(): Promise<void> {
    const key = this.#key()
    const resident = this.#db.getResident(bytes(key))
    const wanted = this.#model.get(key)
    const found = await this.#db.get(bytes(key))
    this.#same(found === undefined ? undefined : text(found), wanted, `get(${JSON.stringify(key)})`)
    if (resident !== undefined) {
      this.#same('value' in resident ? text(resident.value) : undefined, wanted, `getResident(${JSON.stringify(key)})`)
    }
  }

  async #readMany(): Promise<void> {
    const keys = Array.from({ length: 1 + this.#random.below(20) }, () => this.#key())
    const found = await this.#db.getMany(keys.map(bytes))
    for (const [i, key] of keys.entries()) {
      const value = found[i]
      this.#same(value === undefined ? undefined : text(value), this.#model.get(key), `getMany: ${JSON.stringify(key)}`)
    }
  }

  #bounds(): ModelBounds {
    const { random } = { random: this.#random }
    const bounds: { -readonly [Name in keyof ModelBounds]: ModelBounds[Name] } = {}
    if (random.chance(0.3)) bounds.gte = this.#key()
    if (random.chance(0.15)) bounds.gt = this.#key()
    if (random.chance(0.3)) bounds.lt = this.#key()
    if (random.chance(0.15)) bounds.lte = this.#key()
    if (random.chance(0.15)) bounds.prefix = this.#key().slice(0, random.below(6))
    if (random.chance(0.5)) bounds.reverse = true
    if (random.chance(0.3)) bounds.limit = random.below(12)
    return bounds
  }

  async #scan(): Promise<void> {
    const bounds = this.#bounds()
    await this.#compareScan(bounds, this.#model.scan(bounds), undefined)
  }

  async #compareScan(
    bounds: ModelBounds,
    wanted: readonly (readonly [string, string])[],
    snapshot: Snapshot | undefined,
  ): Promise<void> {
    const options: Record<string, unknown> = { ...bounds }
    for (const name of ['gte', 'gt', 'lt', 'lte', 'prefix'] as const) {
      const bound = bounds[name]
      if (bound !== undefined) options[name] = bytes(bound)
    }
    if (snapshot !== undefined) options['snapshot'] = snapshot
    const found: [string, string][] = []
    if (this.#random.chance(0.5)) {
      for await (const [key, value] of this.#db.scan(options)) found.push([text(key), text(value)])
    } else {
      for await (const batch of this.#db.scanBatches(options)) {
        for (const [key, value] of batch) found.push([text(key), text(value)])
      }
    }
    const what = `scan(${JSON.stringify(bounds)})${snapshot === undefined ? '' : ' at a snapshot'}`
    this.#same(found.length, wanted.length, `${what}: number of entries`)
    for (const [i, entry] of wanted.entries()) {
      this.#same(found[i]?.[0], entry[0], `${what}: key ${i}`)
      this.#same(found[i]?.[1], entry[1], `${what}: value of ${JSON.stringify(entry[0])}`)
    }
  }

  #takeSnapshot(): void {
    if (this.#snapshots.length >= 4) this.#dropSnapshot()
    this.#snapshots.push({ snapshot: this.#db.snapshot(), state: this.#model.freeze() })
  }

  async #readSnapshot(): Promise<void> {
    if (this.#snapshots.length === 0) return
    const { snapshot, state } = this.#random.pick(this.#snapshots)
    const key = this.#key()
    const found = await this.#db.get(bytes(key), { snapshot })
    this.#same(found === undefined ? undefined : text(found), state.get(key), `get(${JSON.stringify(key)}) at a snapshot`)
    const bounds = this.#bounds()
    await this.#compareScan(bounds, this.#model.scan(bounds, state), snapshot)
  }

  #dropSnapshot(): void {
    const [dropped] = this.#snapshots.splice(this.#random.below(Math.max(1, this.#snapshots.length)), 1)
    dropped?.snapshot.close()
  }

  async #reopen(): Promise<void> {
    this.#snapshots = []
    await this.#db.close()
    this.#db = await this.#subject.open()
    this.#same(this.#db.stats().lastSequence, this.#model.lastSequence, 'last sequence after a clean reopening')
  }

  async #killAndReopen(): Promise<void> {
    this.#snapshots = []
    const flushed = this.#db.stats().flushedSequence
    await this.#subject.kill()
    this.#db = await this.#subject.open()
    const recovered = this.#db.stats().lastSequence
    const least = this.#options.survives === 'acknowledged' ? this.#model.lastSequence : flushed
    if (recovered < least || recovered > this.#model.lastSequence) {
      throw new ModelMismatch(this.#step, `after a kill ${recovered} writes are left, of ${this.#model.lastSequence}; at least ${least} must be`)
    }
    this.#model.rollBackTo(recovered)
    await this.#compareWhole()
  }

  async #compareWhole(): Promise<void> {
    await this.#compareScan({}, this.#model.scan({}), undefined)
    await this.#compareScan({ reverse: true }, this.#model.scan({ reverse: true }), undefined)
  }

  #same(found: unknown, wanted: unknown, what: string): void {
    if (found !== wanted) throw new ModelMismatch(this.#step, `${what} gave ${shown(found)}, not ${shown(wanted)}`)
  }
}

function bytes(latin1: string): Uint8Array {
  return new Uint8Array(Buffer.from(latin1, 'latin1'))
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
}

function shown(value: unknown): string {
  const whole = JSON.stringify(value) ?? 'undefined'
  return whole.length > 80 ? `${whole.slice(0, 80)}... (${whole.length} characters)` : whole
}
