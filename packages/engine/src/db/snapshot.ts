import { MoraineError } from '@moraine/base'
import type { ReadPoint } from '../read/view-reads.ts'

/** What a snapshot reads from: an engine, which throws here once it has ended. */
export interface SnapshotOwner {
  ensureOpen(): void
}

/**
 * A read view of the database at one moment. Holding it keeps what it can see from being compacted away, so close it
 * when done (`using snapshot = db.snapshot()` does).
 */
export class Snapshot {
  /** The sequence number it reads at. */
  readonly version: number
  readonly #owner: SnapshotOwner
  readonly #point: ReadPoint
  #release: (() => void) | undefined

  /** Made by `db.snapshot()`. */
  constructor(owner: SnapshotOwner, point: ReadPoint, release: () => void) {
    this.#owner = owner
    this.#point = point
    this.version = point.seq
    this.#release = release
  }

  get closed(): boolean {
    return this.#release === undefined
  }

  close(): void {
    this.#release?.()
    this.#release = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Where reads of `owner` look; INVALID for another database's snapshot, CLOSED for a closed one. */
  static pointFor(snapshot: Snapshot | undefined, owner: SnapshotOwner): ReadPoint | undefined {
    if (snapshot === undefined) return undefined
    if (!(snapshot instanceof Snapshot)) throw new MoraineError('INVALID', 'snapshot must be what db.snapshot() returned')
    if (snapshot.#owner !== owner) {
      // Taken before a restore, it says so itself.
      snapshot.#owner.ensureOpen()
      throw new MoraineError('INVALID', 'the snapshot belongs to another database')
    }
    if (snapshot.closed) throw new MoraineError('CLOSED', 'the snapshot is closed')
    return snapshot.#point
  }
}
