import { compareBytes, MoraineError, printableBytes } from '@moraine/base'
import { KEY_TRAILER_BYTES } from '../format/internal-key.ts'
import { MAX_ENTRY_BYTES } from '../format/limits.ts'
import { encodeRangeTombstones } from './range-tombstone-block.ts'
import { compareRangeTombstones, type RangeTombstone } from './range-tombstone.ts'

/** The range tombstones of a table that is being written, gathered in any order until their block is built. */
export class RangeTombstoneCollector {
  rawKeyBytes = 0
  rawValueBytes = 0
  smallestSeq: number = Number.MAX_SAFE_INTEGER
  largestSeq = 0
  #smallestStart: Uint8Array | undefined
  #largestEnd: Uint8Array | undefined
  readonly #tombstones: RangeTombstone[] = []

  get count(): number {
    return this.#tombstones.length
  }

  get smallestStart(): Uint8Array | undefined {
    return this.#smallestStart
  }

  /** The largest end, which no tombstone includes. */
  get largestEnd(): Uint8Array | undefined {
    return this.#largestEnd
  }

  /** Size of the block if it were built now, roughly; 0 without tombstones. */
  get sizeBytes(): number {
    return this.rawKeyBytes + this.rawValueBytes + this.count * ENTRY_ESTIMATE
  }

  /** Copies its arguments. INTERNAL: the range is empty, or nothing that can stand in a table. */
  add(start: Uint8Array, end: Uint8Array, seq: number): void {
    const grownBytes = this.sizeBytes + start.length + end.length + KEY_TRAILER_BYTES + ENTRY_ESTIMATE
    const storable = Number.isSafeInteger(seq) && seq >= 0 && grownBytes <= MAX_ENTRY_BYTES
    if (compareBytes(start, end) >= 0 || !storable) {
      const range = `[${printableBytes(start, 40)}, ${printableBytes(end, 40)}) @ ${seq}`
      const reason = storable ? 'is empty: its start must lie before its end' : 'cannot stand in a table'
      throw new MoraineError('INTERNAL', `range tombstone ${range} ${reason}`)
    }
    // A Buffer's slice would not copy.
    const tombstone = { start: new Uint8Array(start), end: new Uint8Array(end), seq }
    this.#tombstones.push(tombstone)
    this.rawKeyBytes += start.length + KEY_TRAILER_BYTES
    this.rawValueBytes += end.length
    if (seq < this.smallestSeq) this.smallestSeq = seq
    if (seq > this.largestSeq) this.largestSeq = seq
    if (this.#smallestStart === undefined || compareBytes(start, this.#smallestStart) < 0) this.#smallestStart = tombstone.start
    if (this.#largestEnd === undefined || compareBytes(end, this.#largestEnd) > 0) this.#largestEnd = tombstone.end
  }

  /** The block with its trailer; undefined when there are no tombstones. */
  buildBlock(): Uint8Array | undefined {
    if (this.count === 0) return undefined
    return encodeRangeTombstones(this.#tombstones.sort(compareRangeTombstones))
  }
}

/** Varints and restart point of an entry, roughly. */
const ENTRY_ESTIMATE = 8
