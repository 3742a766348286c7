import type { DbReader, Keyspace, ReadCalls, Snapshot } from 'moraine'
import { bytes, text } from './latin1.ts'
import type { ModelBounds, ModelDatabase, ModelEntry, ModelMoment } from './model-database.ts'
import type { ModelDraws } from './model-draws.ts'
import type { DrivenKeyspace } from './model-keyspaces.ts'

/** What both a database and a reader can be asked, of one keyspace. */
export type Reading = Pick<ReadCalls<never>, 'get' | 'getResident' | 'getMany' | 'scan' | 'scanBatches'>

/** Thrown when database and model disagree; says at which step. */
export class ModelMismatch extends Error {
  constructor(step: number, what: string) {
    super(`step ${step}: ${what}`)
    this.name = 'ModelMismatch'
  }
}

/** Something to read, and what it must answer. */
export interface ReadSubject {
  readonly reading: Reading
  readonly keyspace: DrivenKeyspace
  readonly model: ModelDatabase
  readonly at: ModelMoment
  readonly snapshot?: Snapshot | undefined
  /** For messages. */
  readonly what: string
}

/** Reads in every way there is and compares with the model. */
export class ModelReads {
  readonly #draws: ModelDraws

  constructor(draws: ModelDraws) {
    this.#draws = draws
  }

  async one(subject: ReadSubject): Promise<void> {
    const { reading, keyspace, model, at, snapshot } = subject
    const key = this.#draws.key()
    const options = snapshot === undefined ? undefined : { snapshot }
    const resident = reading.getResident(bytes(key), options)
    const wanted = model.get(keyspace.name, key, at)
    const found = await reading.get(bytes(key), options)
    this.#same(shownAs(keyspace, found), wanted, subject, `get(${JSON.stringify(key)})`)
    if (resident === undefined) return
    const value = 'value' in resident ? resident.value : undefined
    this.#same(shownAs(keyspace, value), wanted, subject, `getResident(${JSON.stringify(key)})`)
  }

  async many(subject: ReadSubject): Promise<void> {
    const { reading, keyspace, model, at, snapshot } = subject
    const keys = Array.from({ length: 1 + this.#draws.random.below(20) }, () => this.#draws.key())
    const found = await reading.getMany(keys.map(bytes), snapshot === undefined ? undefined : { snapshot })
    for (const [i, key] of keys.entries()) {
      this.#same(shownAs(keyspace, found[i]), model.get(keyspace.name, key, at), subject, `getMany: ${JSON.stringify(key)}`)
    }
  }

  async some(subject: ReadSubject): Promise<void> {
    await this.range(subject, this.#draws.bounds())
  }

  /** Everything in the keyspace, in both directions. */
  async whole(subject: ReadSubject): Promise<void> {
    await this.range(subject, {})
    await this.range(subject, { reverse: true })
  }

  async range(subject: ReadSubject, drawn: ModelBounds): Promise<void> {
    const { keyspace, model, at } = subject
    // A limit counts entries that a filter may have removed already.
    const { limit, ...unlimited } = drawn
    const bounds = keyspace.filtered === undefined && limit !== undefined ? drawn : unlimited
    const wanted = model.scan(keyspace.name, bounds, at)
    const found = await this.#scan(subject, bounds)
    const what = `scan(${JSON.stringify(bounds)})`
    for (const [i, entry] of wanted.entries()) {
      this.#same(found[i]?.[0], entry[0], subject, `${what}: key ${i}`)
      this.#same(found[i]?.[1], entry[1], subject, `${what}: value of ${JSON.stringify(entry[0])}`)
    }
    this.#same(found[wanted.length]?.[0], undefined, subject, `${what}: after the last key`)
  }

  async #scan({ reading, keyspace, snapshot }: ReadSubject, bounds: ModelBounds): Promise<ModelEntry[]> {
    const options: Record<string, unknown> = { ...bounds }
    for (const name of ['gte', 'gt', 'lt', 'lte', 'prefix'] as const) {
      const bound = bounds[name]
      if (bound !== undefined) options[name] = bytes(bound)
    }
    if (snapshot !== undefined) options['snapshot'] = snapshot
    const found: ModelEntry[] = []
    const take = (key: Uint8Array, value: Uint8Array): void => {
      const shown = shownAs(keyspace, value)
      if (shown !== undefined) found.push([text(key), shown])
    }
    if (this.#draws.random.chance(0.5)) {
      for await (const [key, value] of reading.scan(options)) take(key, value)
    } else {
      for await (const batch of reading.scanBatches(options)) for (const [key, value] of batch) take(key, value)
    }
    return found
  }

  #same(found: string | undefined, wanted: string | undefined, { keyspace, what }: ReadSubject, call: string): void {
    if (found === wanted) return
    const where = keyspace.name === '' ? what : `${what}, keyspace ${keyspace.name}`
    throw new ModelMismatch(this.#draws.step, `${where}: ${call} gave ${quoted(found)}, not ${quoted(wanted)}`)
  }
}

/** A keyspace of a database or of a reader. */
export function readingOf(source: { keyspace(name: string, options?: object): Keyspace | ReturnType<DbReader['keyspace']> } & Reading, keyspace: DrivenKeyspace, readOnly: boolean): Reading {
  if (keyspace.name === '') return source
  const { mergeOperator } = keyspace
  return source.keyspace(keyspace.name, readOnly ? { ...(mergeOperator !== undefined && { mergeOperator }) } : keyspace.options)
}

function shownAs({ filtered }: DrivenKeyspace, value: Uint8Array | undefined): string | undefined {
  if (value === undefined) return undefined
  return filtered === undefined ? text(value) : filtered(text(value))
}

function quoted(value: string | undefined): string {
  const whole = JSON.stringify(value) ?? 'undefined'
  return whole.length > 120 ? `${whole.slice(0, 120)}... (${whole.length} characters)` : whole
}
