import { keyText, type KeyText, textAfter } from '../key/key-text.ts'
import { storedKey } from '../key/keyspace.ts'
import { mergeRanges, type TextRange } from '../key/text-range.ts'
import type { ConflictWatch } from './conflict-window.ts'

/** How far a scan has got. What the caller has not been given cannot have influenced it, and does not count. */
export class ScannedRange {
  readonly #range: TextRange
  readonly #prefix: Uint8Array
  readonly #reverse: boolean
  #reached: Uint8Array | undefined
  #whole = false

  /** @param range of stored keys of the keyspace whose stored keys begin with `prefix` */
  constructor(range: TextRange, prefix: Uint8Array, reverse: boolean) {
    this.#range = range
    this.#prefix = prefix
    this.#reverse = reverse
  }

  /** The caller has been given the entry with this key, as users know it, and those before it. */
  delivered(key: Uint8Array): void {
    this.#reached = key
  }

  /** The caller has been told that there are no more keys in the range. */
  ranOut(): void {
    this.#whole = true
  }

  /** The part of the range whose keys the caller knows; undefined for nothing. */
  get known(): TextRange | undefined {
    const { gte, lt } = this.#range
    if (this.#whole) return this.#range
    if (this.#reached === undefined) return undefined
    const reached = keyText(storedKey(this.#prefix, this.#reached))
    return this.#reverse ? { gte: reached, lt } : { gte, lt: textAfter(reached) }
  }
}

/** Everything that a serializable transaction has read, found or not: keys, and the ranges that it scanned. */
export class ReadSet {
  readonly #keys = new Set<KeyText>()
  readonly #scans: ScannedRange[] = []

  addKey(key: KeyText): void {
    this.#keys.add(key)
  }

  startScan(range: TextRange, prefix: Uint8Array, reverse: boolean): ScannedRange {
    const scan = new ScannedRange(range, prefix, reverse)
    this.#scans.push(scan)
    return scan
  }

  /** What of it was written since the watch began; undefined when all of it still stands. */
  firstWritten(watch: ConflictWatch): { readonly key: KeyText; readonly range?: TextRange } | undefined {
    for (const key of this.#keys) if (watch.keyWritten(key)) return { key }
    return watch.writtenIn(mergeRanges(this.#scans.flatMap((scan) => scan.known ?? [])))
  }
}
