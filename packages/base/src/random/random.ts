import { randomFillSync } from 'node:crypto'
import { toHex } from '../bytes/text.ts'

/** All randomness that Moraine uses: unique names, jitter, seeds. A simulation passes a seeded one. */
export interface Random {
  /** Fills the array with random bytes and returns it. */
  fill(bytes: Uint8Array): Uint8Array
  /** A number in [0, 1). */
  next(): number
}

export const systemRandom: Random = {
  fill: (bytes) => randomFillSync(bytes),
  next: () => Math.random(),
}

/** `byteCount` random bytes as lower-case hexadecimal. */
export function randomHex(random: Random, byteCount: number): string {
  return toHex(random.fill(new Uint8Array(byteCount)))
}

/**
 * A seeded generator (xoshiro128** seeded by splitmix32): the same seed gives the same sequence on every machine.
 * For tests and simulations.
 */
export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  constructor(seed: number) {
    let state = seed | 0
    const splitmix = (): number => {
      state = (state + 0x9e3779b9) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return z ^ (z >>> 16)
    }
    this.#a = splitmix()
    this.#b = splitmix()
    this.#c = splitmix()
    this.#d = splitmix()
  }

  uint32(): number {
    const scrambled = Math.imul(this.#b, 5)
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9)
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result >>> 0
  }

  next(): number {
    return this.uint32() / 0x1_0000_0000
  }

  fill(bytes: Uint8Array): Uint8Array {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.uint32() >>> 24
    return bytes
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }
}
