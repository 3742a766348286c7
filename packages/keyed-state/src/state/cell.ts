import type { ValueFormat } from '../ttl/value-format.ts'
import { NEVER } from '../ttl/backend-time.ts'
import type { Waiting } from './gate.ts'
import type { Holdable, OperationContext } from './operation-context.ts'

/** Where a cell stands: the state it belongs to. */
export interface CellHome<T> {
  readonly stateName: string
  readonly format: ValueFormat<T>
  /** Whether its entries are in the keyspace of large values. */
  readonly separated: boolean
  /** The cell leaves memory. */
  forget(cell: Cell<T>): void
}

/** A call that waits for a cell. */
export interface CellCall extends Waiting {
  readonly context: OperationContext | undefined
}

/** What a cell takes besides its bytes, roughly: the object, its place in the maps, its key. */
export const CELL_BYTES = 200

/** One value in memory, decoded. Plain data; the rules are in cell-cache.ts and cell-calls.ts. */
export class Cell<T> implements Holdable {
  readonly home: CellHome<T>
  /** What its home finds it by. */
  readonly token: unknown
  /** Its key in the database. */
  readonly key: Uint8Array
  /** Undefined: there is none. */
  value: T | undefined = undefined
  /** The value as it will be stored, when that is known already. */
  bytes: Uint8Array | undefined = undefined
  expiresAt: number = NEVER
  /** False while it is loaded, or held by a call. */
  ready = false
  /** A function of the caller runs on it this very moment. */
  running = false
  holder: OperationContext | undefined = undefined
  waiting: CellCall[] | undefined = undefined
  /** Whether the database may hold something under the key. */
  stored = false
  /** The generation in which it was changed; 0 when the database has it. */
  dirtyIn = 0
  /** The number of the write by which the database got it: see `EngineWriter.landed`. */
  writtenAt = 0
  /** Used since the eviction came past it. */
  used = true
  sizeBytes: number
  /** Its place in the cache; -1 outside. */
  slot = -1

  constructor(home: CellHome<T>, token: unknown, key: Uint8Array) {
    this.home = home
    this.token = token
    this.key = key
    this.sizeBytes = CELL_BYTES + key.length
  }
}
