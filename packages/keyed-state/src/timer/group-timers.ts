import { compareBytes, compareRanges } from '@moraine/base'
import { decodeFloat64 } from '../codec/number-codecs.ts'
import { HEAD_BYTES } from '../state-key/state-key.ts'

const TIME_AT = HEAD_BYTES
/** Timers of one group that are kept in memory at most, and how many a look into the database brings. */
const MOST_HELD = 512
const LOADED = 256

/** The next timers of a group from a key on, in order. */
export type ScanTimers = (from: Uint8Array, limit: number) => Promise<Uint8Array[]>

/**
 * The timers of one key group and one domain: the earliest ones in memory, in order, the rest in the database only.
 *
 *   keys in memory  <  bound  <=  keys in the database that have not been looked at
 *
 * So a new timer below the bound goes into memory as well, and one above it does not.
 */
export class GroupTimers {
  /** Encoded timer keys, the earliest last, because that is where an array gives up its items. */
  #held: Uint8Array[] = []
  /** Undefined: everything that the database has is in memory. */
  #bound: Uint8Array | undefined
  /** What is registered and deleted beyond the bound while a look into the database is under way. */
  #meanwhile: { readonly key: Uint8Array; readonly registered: boolean }[] | undefined

  /** `from`: what the keys of the group's timers begin with; undefined when the database has none. */
  constructor(from: Uint8Array | undefined) {
    this.#bound = from
  }

  /** Whether the earliest timer is known, or known not to be. */
  get isKnown(): boolean {
    return this.#held.length > 0 || this.#bound === undefined
  }

  /** The earliest timer's key, when it is known. */
  get head(): Uint8Array | undefined {
    return this.#held.at(-1)
  }

  get heldCount(): number {
    return this.#held.length
  }

  /** Looks into the database for the next timers. One look at a time. */
  async load(scan: ScanTimers): Promise<void> {
    const from = this.#bound
    if (this.isKnown || from === undefined) return
    this.#meanwhile = []
    try {
      const found = await scan(from, LOADED)
      const last = found.at(-1)
      // What was registered below the bound meanwhile is in memory already, and earlier than all that was found.
      this.#held = [...found.toReversed(), ...this.#held]
      this.#bound = found.length < LOADED || last === undefined ? undefined : successor(last)
      const changes = this.#meanwhile
      this.#meanwhile = undefined
      for (const { key, registered } of changes) {
        if (registered) this.register(key)
        else this.delete(key)
      }
    } finally {
      this.#meanwhile = undefined
    }
  }

  register(key: Uint8Array): void {
    if (this.#bound !== undefined && compareBytes(key, this.#bound) >= 0) {
      this.#meanwhile?.push({ key, registered: true })
      return
    }
    const at = this.#position(key)
    const there = this.#held[at]
    if (there !== undefined && compareBytes(there, key) === 0) return
    this.#held.splice(at, 0, key)
    if (this.#held.length <= MOST_HELD || this.#meanwhile !== undefined) return
    this.#bound = this.#held.splice(0, MOST_HELD - LOADED).at(-1)
  }

  delete(key: Uint8Array): void {
    if (this.#bound !== undefined && compareBytes(key, this.#bound) >= 0) {
      this.#meanwhile?.push({ key, registered: false })
      return
    }
    const at = this.#position(key)
    const there = this.#held[at]
    if (there !== undefined && compareBytes(there, key) === 0) this.#held.splice(at, 1)
  }

  /** The first index whose key is not above `key`. */
  #position(key: Uint8Array): number {
    let low = 0
    let high = this.#held.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareBytes(this.#held[middle] as Uint8Array, key) > 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** The time in a timer's key. */
export function timeOf(timerKey: Uint8Array): number {
  return decodeFloat64(timerKey, TIME_AT)
}

/** By time, then by key and namespace, whatever the group: the order in which timers fire. */
export function compareTimers(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, TIME_AT, a.length, b, TIME_AT, b.length)
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
