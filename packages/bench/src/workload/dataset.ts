import { SeededRandom } from '@moraine/base'
import type { Entry } from '../subject/subject.ts'

/**
 * Entries as the targets name them: 20-byte keys in no order, 100-byte values that compress to about half. Entry i is
 * the same in every run and for every subject.
 */
export class Dataset {
  readonly #values: Uint8Array

  constructor() {
    // Values are windows into one pool, 50 random bytes and 50 equal ones in turns, as db_bench of LevelDB does it.
    const random = new SeededRandom(20010101)
    this.#values = new Uint8Array(poolSizeBytes)
    for (let at = 0; at < poolSizeBytes; at += valueSizeBytes) {
      random.fill(this.#values.subarray(at, at + valueSizeBytes / 2))
    }
  }

  key(i: number): Uint8Array {
    return keyOf(i, 0x9e3779b9)
  }

  /** A key that no entry has, in the midst of those that are there. */
  absentKey(i: number): Uint8Array {
    const key = keyOf(i, 0x9e3779b9)
    // Another last character than any entry can have.
    key[keySizeBytes - 1] = 0x7a
    return key
  }

  value(i: number): Uint8Array {
    const at = Math.imul(i, 2_654_435) >>> 0
    const start = at % (poolSizeBytes - valueSizeBytes)
    return this.#values.subarray(start, start + valueSizeBytes)
  }

  entry(i: number): Entry {
    return [this.key(i), this.value(i)]
  }
}

export const keySizeBytes = 20
export const valueSizeBytes = 100
const poolSizeBytes = 1_000_000

/** `user` and 16 hexadecimal digits that look random and are unique for each i below 2^32. */
function keyOf(i: number, seed: number): Uint8Array {
  const key = new Uint8Array(keySizeBytes)
  key.set(prefix)
  // Both mixes are bijections of 32 bits, so that no two entries share a key.
  writeHex(key, 4, mix(i ^ seed))
  writeHex(key, 12, mix(i + seed))
  return key
}

const prefix = new TextEncoder().encode('user')
const hexDigits = new TextEncoder().encode('0123456789abcdef')

function writeHex(key: Uint8Array, offset: number, value: number): void {
  for (let digit = 0; digit < 8; digit++) {
    key[offset + digit] = hexDigits[(value >>> (28 - 4 * digit)) & 15] as number
  }
}

function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d)
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b)
  return (h ^ (h >>> 16)) >>> 0
}
