import type { CallLimits } from '@moraine/base'
import type { Bytes } from '../batch/limits.ts'
import type { Engine } from '../recovery/engine.ts'
import type { ReaderEngine } from '../recovery/reader-engine.ts'
import type { EngineSlot } from './engine-slot.ts'
import { ReadCalls } from './read-calls.ts'
import { compactUserRange } from './scan-options.ts'
import { WriteCalls } from './write-calls.ts'

/**
 * A named keyspace of a database: keys of its own, with their own default TTL, merge operator, compaction filter and
 * compression. All keyspaces share one log, one tree and one history: a batch is atomic across them, and a snapshot or a
 * checkpoint holds all of them at one moment. The calls are those of `Db`.
 */
export class Keyspace extends WriteCalls {
  readonly name: string

  /** Made by `db.keyspace`. */
  constructor(slot: EngineSlot<Engine>, name: string) {
    super(slot, name)
    this.name = name
  }

  /** Compacts a range of the keyspace, default all of it: see `Db.compact`. */
  compact(range?: { gte?: Bytes; lt?: Bytes }, options?: CallLimits): Promise<void> {
    return this.waiting('compact', options, 'the compaction goes on in the background', (signal) =>
      compactUserRange(this.slot.engine, this.prefix, range, signal),
    )
  }
}

/** A named keyspace of a database that is open for reading. */
export class KeyspaceReader extends ReadCalls<ReaderEngine> {
  readonly name: string

  /** Made by `reader.keyspace`. */
  constructor(slot: EngineSlot<ReaderEngine>, name: string) {
    super(slot, name)
    this.name = name
  }
}
