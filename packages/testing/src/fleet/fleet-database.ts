import { type Db } from 'moraine'
import { type MortalObjectStore } from '../model/mortal-object-store.ts'
import { type FleetModel, type ModelState } from './fleet-model.ts'

/** A writing process: its handle, and the store as it sees it. */
export interface FleetWriter {
  readonly db: Db
  readonly process: MortalObjectStore
}

/** One database of the fleet: where it is, what it should hold, and who has it open. */
export class FleetDatabase {
  readonly prefix: string
  readonly model: FleetModel
  /** Contents by checkpoint id. */
  readonly checkpoints: Map<string, ModelState> = new Map()
  /** Databases that may refer to files of this one. */
  readonly clones: Set<FleetDatabase> = new Set()
  writer: FleetWriter | undefined

  constructor(prefix: string, model: FleetModel) {
    this.prefix = prefix
    this.model = model
  }
}
