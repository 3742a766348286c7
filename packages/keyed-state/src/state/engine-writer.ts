import { Deferred } from '@moraine/base'
import { type Checkpoint, type CheckpointOptions, type Db, WriteBatch } from 'moraine'
import { metaKey } from '../state-key/state-key.ts'
import { IN_LARGE_VALUES } from './large-values.ts'

const FLUSH_BYTES = 256 * 1024

/** The record of the newest checkpoint whose state this is, or comes after. */
export const RECORD_KEY: Uint8Array = metaKey('checkpoint')
/** There when the state has moved on from its record. */
export const CHANGED_KEY: Uint8Array = metaKey('changed')

const DONE: Promise<void> = Promise.resolve()
const EMPTY = new Uint8Array(0)

/**
 * The one way by which writes reach the engine, gathered into batches. Its duty is the line that a checkpoint draws:
 *
 *   freeze    What was written before goes to the engine at once. From here on, what belongs to the checkpoint comes through
 *             `putFrozen` and `deleteFrozen`, and everything else waits here.
 *   seal      The record of the checkpoint is written and the engine's checkpoint begun, in one synchronous step, so that
 *             the record is in exactly those states of the engine that contain the checkpoint. Then the rest may go on.
 *
 * The first write after a checkpoint is preceded by a mark: a state with a record and without the mark is just what the
 * record says, so that a copy made by the engine's own clone can be told from one that was made at some other moment.
 */
export class EngineWriter {
  readonly #db: Db
  readonly #onFailed: (error: unknown) => void
  #batch = new WriteBatch()
  #later = new WriteBatch()
  #sealed: Deferred<void> | undefined
  #marked: boolean
  #last = DONE
  #position = 0
  #landed = 0

  constructor(db: Db, marked: boolean, onFailed: (error: unknown) => void) {
    this.#db = db
    this.#marked = marked
    this.#onFailed = onFailed
  }

  /** True between freeze and seal. */
  get isFrozen(): boolean {
    return this.#sealed !== undefined
  }

  /** The number of the last write. */
  get position(): number {
    return this.#position
  }

  /** Every write up to this number can be read from the engine. */
  get landed(): number {
    return this.#landed
  }

  /** `separated`: of a state whose entries are in the keyspace of large values. */
  put(key: Uint8Array, value: Uint8Array, separated = false): void {
    this.#position++
    this.#target().put(key, value, separated ? IN_LARGE_VALUES : undefined)
    this.#flushFull()
  }

  delete(key: Uint8Array, separated = false): void {
    this.#position++
    this.#target().delete(key, separated ? IN_LARGE_VALUES : undefined)
    this.#flushFull()
  }

  /** Deletes what has been written from one key up to another one, in one step, whatever it is. */
  deleteRange(gte: Uint8Array, lt: Uint8Array, separated = false): void {
    this.#position++
    this.#target().deleteRange({ gte, lt }, separated ? IN_LARGE_VALUES : undefined)
    this.#flushFull()
  }

  putFrozen(key: Uint8Array, value: Uint8Array, separated = false): void {
    this.#position++
    if (!this.#marked) this.#mark(this.#batch)
    this.#batch.put(key, value, separated ? IN_LARGE_VALUES : undefined)
    if (this.#batch.sizeBytes >= FLUSH_BYTES) this.#send()
  }

  deleteFrozen(key: Uint8Array, separated = false): void {
    this.#position++
    if (!this.#marked) this.#mark(this.#batch)
    this.#batch.delete(key, separated ? IN_LARGE_VALUES : undefined)
    if (this.#batch.sizeBytes >= FLUSH_BYTES) this.#send()
  }

  /** Resolves when everything written so far can be read from the engine; waits for the seal when it has to. */
  async flush(): Promise<void> {
    while (this.#sealed !== undefined && this.#later.size > 0) {
      this.#send()
      await this.#sealed.promise
    }
    this.#send()
    await this.#last
  }

  freeze(): void {
    this.#send()
    this.#sealed = new Deferred()
  }

  /** Sends what was gathered for the checkpoint so far; resolves when the engine has taken it, which may need room. */
  sent(): Promise<void> {
    this.#send()
    return this.#last
  }

  seal(record: Uint8Array, options: CheckpointOptions): Promise<Checkpoint> {
    this.#batch.put(RECORD_KEY, record)
    if (this.#marked) this.#batch.delete(CHANGED_KEY)
    this.#send()
    const taken = this.#db.checkpoint(options)
    this.#marked = false
    this.thaw()
    return taken
  }

  /** Lets the writes that waited go on; after a checkpoint that failed before its seal, too. */
  thaw(): void {
    const sealed = this.#sealed
    if (sealed === undefined) return
    this.#sealed = undefined
    this.#send()
    if (this.#later.size > 0 && !this.#marked) {
      // The mark must not come later than what it announces.
      this.#mark(this.#batch)
      this.#send()
    }
    const empty = this.#batch
    this.#batch = this.#later
    this.#later = empty
    this.#flushFull()
    sealed.resolve()
  }

  #target(): WriteBatch {
    if (this.#sealed !== undefined) return this.#later
    if (!this.#marked) this.#mark(this.#batch)
    return this.#batch
  }

  #mark(batch: WriteBatch): void {
    this.#marked = true
    batch.put(CHANGED_KEY, EMPTY)
  }

  #flushFull(): void {
    if (this.#sealed === undefined && this.#batch.sizeBytes >= FLUSH_BYTES) this.#send()
  }

  #send(): void {
    this.#sendBatch(this.#batch)
  }

  #sendBatch(batch: WriteBatch): void {
    if (batch.size === 0) return
    // What is held back has numbers between those that are sent: nothing is known to have landed until it has, too.
    const landing = this.#later.size === 0 ? this.#position : this.#landed
    const written = this.#db.write(batch)
    batch.clear()
    const last = written.then(
      () => {
        this.#landed = Math.max(this.#landed, landing)
        if (this.#last === last) this.#last = DONE
      },
      (error: unknown) => {
        this.#onFailed(error)
        throw error
      },
    )
    last.catch(() => {})
    this.#last = last
  }
}
