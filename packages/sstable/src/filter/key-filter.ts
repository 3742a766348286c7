import { murmur3 } from '@moraine/base'
import bloomFilters from 'bloom-filters'

/** Seed of the hash of keys. It is stored with every filter, because it decides which bits a key has. */
export const FILTER_SEED = 0x6d6f7261

/** Bit positions are 32-bit integers; more than 400 million keys in one table get fewer bits each. */
export const MAX_FILTER_BITS = 0xffff_fff0

/** Probes of a smaller filter fall on each other too often. */
const MIN_FILTER_BITS = 512

/** The hash of a user key that filters and blocks look up; computed once a get, used for every table. */
export function filterHash(key: Uint8Array, start: number, end: number): number {
  return murmur3(key, start, end, FILTER_SEED)
}

/**
 * A bloom filter over whole user keys. Size and hash count come from the `bloom-filters` package; which bits a key
 * has is decided here, because the package's own hashing costs a hundred times as much.
 *
 * Probe i of a key with hash h tests bit floor(g / 2^32 * bitCount) of g = h + i * step mod 2^32, where the odd step
 * is a scramble of h: enhanced double hashing without a division.
 */
export class KeyFilter extends bloomFilters.BloomFilter {
  #bits: Uint8Array

  /** An empty filter. `keyCount` > 0; `bitsPerKey` > 0. */
  static forKeys(keyCount: number, bitsPerKey: number): KeyFilter {
    // The package sizes by error rate; this is the rate that the wanted number of bits a key gives.
    const bits = Math.min(bitsPerKey, MAX_FILTER_BITS / keyCount)
    const errorRate = Math.exp(-bits * Math.LN2 * Math.LN2)
    return KeyFilter.create(Math.max(keyCount, Math.ceil(MIN_FILTER_BITS / bits)), errorRate) as KeyFilter
  }

  /** The filter whose bits are `bits`, which it keeps. */
  static fromBits(bits: Uint8Array, bitCount: number, hashCount: number): KeyFilter {
    const filter = new KeyFilter(8, hashCount)
    filter._size = bitCount
    filter._filter.array = bits
    filter.#bits = bits
    return filter
  }

  constructor(bitCount: number, hashCount: number) {
    super(bitCount, hashCount)
    this.#bits = this._filter.array
  }

  get bitCount(): number {
    return this._size
  }

  get hashCount(): number {
    return this._nbHashes
  }

  get bits(): Uint8Array {
    return this.#bits
  }

  get memoryBytes(): number {
    return this.#bits.byteLength
  }

  addHash(hash: number): void {
    const bits = this.#bits
    const scale = this._size / 0x1_0000_0000
    const step = stepOf(hash)
    let probe = hash | 0
    for (let i = this._nbHashes; i > 0; i--) {
      const bit = Math.floor((probe >>> 0) * scale)
      const at = bit >>> 3
      bits[at] = (bits[at] as number) | (1 << (bit & 7))
      probe = (probe + step) | 0
    }
  }

  /** False: no key with this hash is in the table. */
  mayContain(hash: number): boolean {
    const bits = this.#bits
    const scale = this._size / 0x1_0000_0000
    const step = stepOf(hash)
    let probe = hash | 0
    for (let i = this._nbHashes; i > 0; i--) {
      const bit = Math.floor((probe >>> 0) * scale)
      if (((bits[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false
      probe = (probe + step) | 0
    }
    return true
  }

  override add(element: string | ArrayBuffer | Buffer): void {
    const bytes = elementBytes(element)
    this.addHash(filterHash(bytes, 0, bytes.length))
  }

  override has(element: string | ArrayBuffer | Buffer): boolean {
    const bytes = elementBytes(element)
    return this.mayContain(filterHash(bytes, 0, bytes.length))
  }
}

function stepOf(hash: number): number {
  return Math.imul(((hash >>> 15) | (hash << 17)) ^ 0x9e3779b9, 0x85ebca6b) | 1
}

function elementBytes(element: string | ArrayBuffer | Buffer): Uint8Array {
  if (typeof element === 'string') return Buffer.from(element, 'utf8')
  return element instanceof ArrayBuffer ? new Uint8Array(element) : element
}
