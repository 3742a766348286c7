import { codecFailure } from '../ttl/value-format.ts'
import { type Cell, CELL_BYTES } from './cell.ts'
import type { EngineWriter } from './engine-writer.ts'

export interface CacheLimits {
  readonly maxEntries: number
  readonly maxBytes: number
}

/** Changed cells that are written together; the wait for a write is the same for one and for many. */
const MOST_WRITTEN = 2_048

/**
 * All values in memory, decoded, and what of them the database does not have yet.
 *
 * Write-back: a changed cell is encoded and written when it leaves memory, when somebody scans what it belongs to, or at a
 * checkpoint, and not before; so a value that is changed a million times between two checkpoints is encoded once.
 *
 * Freezing: a checkpoint takes the set of changed cells as it is and starts a new generation; that is all that happens while
 * the state stands still. The cells are encoded later, in slices. A cell that is changed before its turn is encoded right
 * before the change (`beforeChange`), so what the checkpoint gets is what the cell was at the freeze. Until the writer has
 * sealed the checkpoint, nothing that was changed after the freeze may reach the engine, so eviction leaves changed cells alone.
 *
 * Eviction goes round: a cell that was used since the last round stays.
 */
export class CellCache {
  readonly #writer: EngineWriter
  readonly #limits: CacheLimits
  readonly #describeKey: (key: Uint8Array) => string
  readonly #cells: Cell<unknown>[] = []
  readonly #room: (() => void)[] = []
  #hand = 0
  #bytes = 0
  #generation = 1
  #dirty = new Set<Cell<unknown>>()
  #frozen: Set<Cell<unknown>> | undefined
  /** What a cell failed with that had to be encoded for the checkpoint. */
  #frozenFailure: unknown
  #evicting = false
  evictions = 0

  constructor(writer: EngineWriter, limits: CacheLimits, describeKey: (key: Uint8Array) => string) {
    this.#writer = writer
    this.#limits = limits
    this.#describeKey = describeKey
  }

  get size(): number {
    return this.#cells.length
  }

  get sizeBytes(): number {
    return this.#bytes
  }

  get dirtyCount(): number {
    return this.#dirty.size
  }

  /** So far beyond the limits that loads had better wait. */
  get isOverfull(): boolean {
    return this.#cells.length > this.#limits.maxEntries * 2 || this.#bytes > this.#limits.maxBytes * 2
  }

  /** Runs when there is room, at once if there is. */
  whenRoom(run: () => void): void {
    if (!this.isOverfull) return run()
    this.#room.push(run)
    this.#startEviction()
  }

  admit<T>(cell: Cell<T>): void {
    cell.slot = this.#cells.push(cell as Cell<unknown>) - 1
    this.#bytes += cell.sizeBytes
    if (this.#isOver) this.#startEviction()
  }

  /** Takes a cell out that nothing needs any more. */
  remove<T>(cell: Cell<T>): void {
    if (cell.slot < 0) return
    const last = this.#cells.pop() as Cell<unknown>
    if (last !== cell) {
      this.#cells[cell.slot] = last
      last.slot = cell.slot
    }
    cell.slot = -1
    this.#bytes -= cell.sizeBytes
    cell.home.forget(cell)
  }

  /** The encoded size is known: the object takes about twice that. */
  resize<T>(cell: Cell<T>, encodedBytes: number): void {
    const sizeBytes = CELL_BYTES + cell.key.length + 2 * encodedBytes
    if (cell.slot >= 0) this.#bytes += sizeBytes - cell.sizeBytes
    const grows = sizeBytes > cell.sizeBytes
    cell.sizeBytes = sizeBytes
    if (grows && this.#isOver) this.#startEviction()
  }

  /** To be called before a cell's value or expiry changes, or might. */
  beforeChange<T>(cell: Cell<T>): void {
    if (cell.dirtyIn === this.#generation) return
    if (cell.dirtyIn !== 0) this.#writeFrozen(cell)
    cell.dirtyIn = this.#generation
    this.#dirty.add(cell as Cell<unknown>)
  }

  /** The bytes of a cell's value; throws INVALID when its codec fails. */
  encode<T>(cell: Cell<T>): Uint8Array {
    if (cell.bytes !== undefined) return cell.bytes
    const { format, stateName } = cell.home
    try {
      cell.bytes = format.encode(cell.value as T, cell.expiresAt)
    } catch (error) {
      throw codecFailure('encode', stateName, this.#describeKey(cell.key), format.codec.name, error)
    }
    this.resize(cell, cell.bytes.length)
    return cell.bytes
  }

  /** Gives a changed cell to the writer, so that a scan finds it. */
  writeBack<T>(cell: Cell<T>): void {
    if (cell.dirtyIn === 0) return
    if (cell.dirtyIn !== this.#generation) {
      this.#writeFrozen(cell)
      if (this.#frozenFailure !== undefined) throw this.#frozenFailure
      cell.dirtyIn = 0
      return
    }
    if (cell.value !== undefined) {
      const bytes = this.encode(cell)
      this.#writer.put(cell.key, bytes, cell.home.separated)
      cell.stored = true
    } else if (cell.stored) {
      this.#writer.delete(cell.key, cell.home.separated)
      cell.stored = false
    }
    cell.bytes = undefined
    cell.dirtyIn = 0
    cell.writtenAt = this.#writer.position
    this.#dirty.delete(cell as Cell<unknown>)
  }

  /** Changed cells, of this generation and of a checkpoint under way. */
  *changed(): Iterable<Cell<unknown>> {
    if (this.#frozen !== undefined) yield* this.#frozen
    yield* this.#dirty
  }

  /** The state stands still: what has changed so far belongs to the checkpoint. */
  freeze(): void {
    this.#frozen = this.#dirty
    this.#frozenFailure = undefined
    this.#dirty = new Set()
    this.#generation++
  }

  /**
   * Encodes what was frozen. `pause` is asked between cells for a promise to wait for. Throws what a codec failed with; the
   * cells that were not written stay changed.
   */
  async writeFrozen(pause: () => Promise<void> | undefined): Promise<void> {
    const frozen = this.#frozen ?? new Set()
    for (const cell of frozen) {
      if (this.#frozenFailure !== undefined) break
      if (cell.dirtyIn !== 0 && cell.dirtyIn !== this.#generation) {
        this.#writeFrozen(cell)
        if (this.#frozenFailure === undefined) cell.dirtyIn = 0
      }
      const waiting = pause()
      if (waiting !== undefined) await waiting
    }
    if (this.#frozenFailure !== undefined) throw this.#frozenFailure
  }

  /** The checkpoint is sealed, or has failed: what is left of the frozen cells counts as changed again. */
  thaw(): void {
    for (const cell of this.#frozen ?? []) {
      if (cell.dirtyIn === 0 || cell.dirtyIn === this.#generation) continue
      cell.dirtyIn = this.#generation
      this.#dirty.add(cell)
    }
    this.#frozen = undefined
    this.#frozenFailure = undefined
    if (this.#isOver) this.#startEviction()
  }

  #writeFrozen<T>(cell: Cell<T>): void {
    if (cell.value === undefined) {
      if (cell.stored) this.#writer.deleteFrozen(cell.key, cell.home.separated)
      cell.stored = false
      cell.writtenAt = this.#writer.position
      return
    }
    try {
      this.#writer.putFrozen(cell.key, this.encode(cell), cell.home.separated)
      cell.stored = true
    } catch (error) {
      this.#frozenFailure ??= error
    }
    cell.writtenAt = this.#writer.position
    cell.bytes = undefined
  }

  get #isOver(): boolean {
    return this.#cells.length > this.#limits.maxEntries || this.#bytes > this.#limits.maxBytes
  }

  #startEviction(): void {
    if (this.#evicting) return
    this.#evicting = true
    // In a turn of its own, so that a cell is not evicted by the very call that brought it in.
    void Promise.resolve().then(() => this.#evict())
  }

  async #evict(): Promise<void> {
    try {
      while (this.#isOver) {
        const written = this.#evictSome()
        if (written === undefined) break
        if (written.length > 0) {
          await this.#writer.flush()
          // A cell that the engine has is gone only when nobody has come for it meanwhile.
          for (const cell of written) if (isIdle(cell) && !cell.used && this.#isStored(cell)) this.#drop(cell)
        }
        if (!this.isOverfull) this.#letIn()
      }
    } catch {
      // The writer has told the backend, which is closed now; or a codec failed, and the checkpoint will say so.
    } finally {
      this.#evicting = false
      this.#letIn()
    }
  }

  /** Drops what can be dropped and writes some of what cannot; undefined when there was nothing to do either way. */
  #evictSome(): Cell<unknown>[] | undefined {
    const written: Cell<unknown>[] = []
    let dropped = 0
    const rounds = this.#cells.length * 2
    const most = Math.min(MOST_WRITTEN, Math.ceil(this.#limits.maxEntries / 4))
    for (let looked = 0; looked < rounds && written.length < most && this.#cells.length > 0; looked++) {
      if (this.#hand >= this.#cells.length) this.#hand = 0
      const cell = this.#cells[this.#hand] as Cell<unknown>
      if (!isIdle(cell)) {
        this.#hand++
      } else if (cell.used) {
        cell.used = false
        this.#hand++
      } else if (this.#isStored(cell)) {
        this.#drop(cell)
        dropped++
        if (!this.#isOver) break
      } else {
        this.#hand++
        if (this.#writer.isFrozen) continue
        this.writeBack(cell)
        written.push(cell)
      }
    }
    return dropped === 0 && written.length === 0 ? undefined : written
  }

  /** Whether the engine would give the same as the cell. */
  #isStored(cell: Cell<unknown>): boolean {
    return cell.dirtyIn === 0 && cell.writtenAt <= this.#writer.landed
  }

  #drop(cell: Cell<unknown>): void {
    this.evictions++
    this.remove(cell)
  }

  #letIn(): void {
    for (const run of this.#room.splice(0)) run()
  }
}

function isIdle(cell: Cell<unknown>): boolean {
  return cell.ready && cell.waiting === undefined
}
