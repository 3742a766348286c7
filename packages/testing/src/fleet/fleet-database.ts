import { type Db } from 'moraine'
import type { ModelDatabase } from '../model/model-database.ts'
import { type MortalObjectStore } from '../model/mortal-object-store.ts'

/** A writing process: its handle, and the store as it sees it. */
export interface FleetWriter {
  readonly db: Db
  readonly process: MortalObjectStore
}

/** One database of the fleet: where it is, what it should hold, and who has it open. */
export class FleetDatabase {
  readonly prefix: string
  /** Contents by checkpoint id. */
  readonly checkpoints: Map<string, ModelDatabase> = new Map()
  /** Databases that may refer to files of this one. */
  readonly clones: Set<FleetDatabase> = new Set()
  model: ModelDatabase
  writer: FleetWriter | undefined

  constructor(prefix: string, model: ModelDatabase) {
    this.prefix = prefix
    this.model = model
  }

  /** From now on it holds what `model` does; its next write comes after `sequence`. */
  become(model: ModelDatabase, sequence: number): void {
    this.model = model.fork()
    this.model.continueAfter(sequence)
  }
}
