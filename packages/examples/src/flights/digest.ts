/**
 * A digest of a set of entries that does not depend on their order: the sum, modulo 2^64, of a 64-bit hash of each
 * entry. Two databases with the same digest and row count hold the same entries, up to chance (not up to malice).
 * It is computed once from the source rows, in source order, and once from the reopened database, in key order.
 */
export class EntryDigest {
  #rows = 0
  #low = 0
  #high = 0

  get rows(): number {
    return this.#rows
  }

  add(key: Uint8Array, value: Uint8Array): void {
    // The key's length goes in first, so that no byte can move from the key to the value unseen.
    let a = Math.imul(key.length ^ 0x2545f491, 0x9e3779b1)
    let b = Math.imul(value.length ^ 0x6a09e667, 0x85ebca77)
    for (let i = 0; i < key.length; i++) {
      const byte = key[i] as number
      a = Math.imul(a ^ byte, 0x01000193)
      b = Math.imul(b + byte, 0xc2b2ae3d) ^ (b >>> 15)
    }
    for (let i = 0; i < value.length; i++) {
      const byte = value[i] as number
      a = Math.imul(a ^ byte, 0x01000193)
      b = Math.imul(b + byte, 0xc2b2ae3d) ^ (b >>> 15)
    }
    this.#rows++
    this.#addSum(finish(a), finish(b))
  }

  merge(other: DigestParts): void {
    this.#rows += other.rows
    this.#addSum(other.low, other.high)
  }

  /** The state as plain numbers, for another thread to merge. */
  parts(): DigestParts {
    return { rows: this.#rows, low: this.#low, high: this.#high }
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return hex32(this.#high) + hex32(this.#low)
  }

  #addSum(low: number, high: number): void {
    const sum = this.#low + low
    this.#low = sum >>> 0
    this.#high = (this.#high + high + (sum > 0xffff_ffff ? 1 : 0)) >>> 0
  }
}

export interface DigestParts {
  readonly rows: number
  readonly low: number
  readonly high: number
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x7feb352d)
  h ^= h >>> 15
  h = Math.imul(h, 0x846ca68b)
  return (h ^ (h >>> 16)) >>> 0
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0')
}
