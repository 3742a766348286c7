import type { Db } from 'moraine'
import type { StateRegistry } from '../descriptor/registry.ts'
import type { BackendTime } from '../ttl/backend-time.ts'
import type { CellCache } from './cell-cache.ts'
import type { EngineWriter } from './engine-writer.ts'
import type { Gate } from './gate.ts'
import type { KeySpace } from './key-space.ts'
import type { StateSpaces } from './large-values.ts'

/** What the states of a backend share. */
export interface StateHost<Key> {
  readonly db: Db
  readonly spaceOf: StateSpaces
  readonly gate: Gate
  readonly writer: EngineWriter
  readonly cache: CellCache
  readonly keys: KeySpace<Key>
  readonly time: BackendTime
  readonly registry: StateRegistry
  /** A number that no element of any list has; ascending. */
  nextElement(): number
}
