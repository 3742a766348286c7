import type { CallLimits } from '@moraine/base'
import { checkKeyspaceName, DEFAULT_KEYSPACE } from '../key/keyspace.ts'
import type { ReaderEngine } from '../recovery/reader-engine.ts'
import type { ReaderEvents } from '../recovery/reader-event.ts'
import { type Checkpoint, publicCheckpoint } from './checkpoint-options.ts'
import type { EventListeners } from './event-listeners.ts'
import { KeyspaceReader } from './keyspace.ts'
import { type KeyspaceOptions, keyspaceSettings } from './keyspace-options.ts'
import { ReadCalls } from './read-calls.ts'
import { type ReaderStats, readerStats } from './reader-stats.ts'

/**
 * A database open for reading, at a checkpoint or following its writer. The calls are those of `Db`, and answer the same.
 * UNAVAILABLE from a read means that the lease has lapsed, or that without a lease a file was collected: the message says
 * what to do.
 */
export class DbReader extends ReadCalls<ReaderEngine> {
  readonly #events: EventListeners<ReaderEvents>

  /** Made by `openReader`. */
  constructor(engine: ReaderEngine, events: EventListeners<ReaderEvents>) {
    super({ engine }, DEFAULT_KEYSPACE)
    this.#events = events
  }

  /** The checkpoint being read; undefined for a reader that follows. */
  get checkpoint(): Checkpoint | undefined {
    const { checkpoint } = this.slot.engine
    return checkpoint === undefined ? undefined : publicCheckpoint(checkpoint)
  }

  /** A named keyspace of the database. INVALID when the settings contradict what the database remembers. */
  keyspace(name: string, options?: KeyspaceOptions): KeyspaceReader {
    const { engine } = this.slot
    engine.ensureOpen()
    engine.keyspaces.declare(checkKeyspaceName(name), keyspaceSettings('keyspace', options))
    return new KeyspaceReader(this.slot, name)
  }

  /**
   * Moves to what the writer has stored by now: the newest manifest, and the end of the log when that is in the store. True
   * when there was anything new. After the lease has lapsed this begins anew, also at a checkpoint.
   */
  refresh(options?: CallLimits): Promise<boolean> {
    return this.waiting('refresh', options, 'the refresh goes on', () => this.slot.engine.refresh())
  }

  stats(): ReaderStats {
    return readerStats(this.slot.engine)
  }

  /** Listens to an event; returns a function that stops listening. */
  on<Name extends keyof ReaderEvents>(name: Name, listener: (payload: ReaderEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** Gives the pins up and releases everything. Idempotent. */
  close(): Promise<void> {
    return this.slot.engine.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
