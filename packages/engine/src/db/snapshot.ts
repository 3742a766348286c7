import { MoraineError } from '@moraine/base'

/**
 * A read view of the database at one moment. Holding it keeps what it can see from being compacted away, so close it
 * when done (`using snapshot = db.snapshot()` does).
 */
export class Snapshot {
  /** The sequence number it reads at. */
  readonly version: number
  readonly #owner: object
  #release: (() => void) | undefined

  /** Made by `db.snapshot()`. */
  constructor(owner: object, version: number, release: () => void) {
    this.#owner = owner
    this.version = version
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

  /** The sequence number, for reads of `owner`; INVALID for another database's snapshot, CLOSED for a closed one. */
  static sequenceFor(snapshot: Snapshot | undefined, owner: object): number | undefined {
    if (snapshot === undefined) return undefined
    if (!(snapshot instanceof Snapshot)) throw new MoraineError('INVALID', 'snapshot must be what db.snapshot() returned')
    if (snapshot.#owner !== owner) throw new MoraineError('INVALID', 'the snapshot belongs to another database')
    if (snapshot.closed) throw new MoraineError('CLOSED', 'the snapshot is closed')
    return snapshot.version
  }
}
