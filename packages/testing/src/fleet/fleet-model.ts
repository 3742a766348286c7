import type { Db } from 'moraine'
import type { ModelOperation } from '../model/model-database.ts'

/** The contents of a database at one moment. */
export type ModelState = ReadonlyMap<string, string>

/**
 * What one database of the fleet should hold: a state to start from, and the writes since then by sequence number, so
 * that the state at any of those numbers can be told after a kill.
 */
export class FleetModel {
  #base: ModelState
  #baseSequence: number
  #operations: ModelOperation[] = []

  constructor(base: ModelState, baseSequence: number) {
    this.#base = base
    this.#baseSequence = baseSequence
  }

  get lastSequence(): number {
    return this.#baseSequence + this.#operations.length
  }

  apply(operations: readonly ModelOperation[]): void {
    this.#operations.push(...operations)
  }

  /** The present, or what it was when `sequence` was the last one. */
  state(sequence: number = this.lastSequence): ModelState {
    const state = new Map(this.#base)
    for (const { key, value } of this.#operations.slice(0, sequence - this.#baseSequence)) {
      if (value === undefined) state.delete(key)
      else state.set(key, value)
    }
    return state
  }

  /** A kill took the writes after `sequence`. */
  rollBackTo(sequence: number): void {
    if (sequence < this.#baseSequence || sequence > this.lastSequence) {
      throw new Error(`the database is at sequence ${sequence}, the model knows ${this.#baseSequence} to ${this.lastSequence}`)
    }
    this.#operations.length = sequence - this.#baseSequence
  }

  /** The database was set to another state; its next write comes after `sequence`. */
  reset(state: ModelState, sequence: number): void {
    this.#base = state
    this.#baseSequence = sequence
    this.#operations = []
  }
}

/** The part of a state that a range of keys covers. */
export function restrictState(state: ModelState, range: { gte?: string; lt?: string }): ModelState {
  return new Map(
    [...state].filter(([key]) => (range.gte === undefined || key >= range.gte) && (range.lt === undefined || key < range.lt)),
  )
}

/** The first difference of two states in words, or undefined. */
export function stateDifference(found: ModelState, wanted: ModelState): string | undefined {
  for (const [key, value] of wanted) {
    const other = found.get(key)
    if (other !== value) return `key ${JSON.stringify(key)} is ${shown(other)}, not ${shown(value)}`
  }
  for (const [key, value] of found) {
    if (!wanted.has(key)) return `key ${JSON.stringify(key)} is ${shown(value)}, but should be absent`
  }
  return undefined
}

function shown(value: string | undefined): string {
  return value === undefined ? 'absent' : JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
}

/** Everything that a database or a reader shows. */
export async function wholeState(source: Pick<Db, 'scanBatches'>): Promise<ModelState> {
  const state = new Map<string, string>()
  for await (const batch of source.scanBatches()) {
    for (const [key, value] of batch) state.set(Buffer.from(key).toString(), Buffer.from(value).toString())
  }
  return state
}
