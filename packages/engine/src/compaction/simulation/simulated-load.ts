import { SeededRandom } from '@moraine/base'

export type KeyDistribution = 'uniform' | 'zipf' | 'sequential' | 'queue'

/** A synthetic load. */
export interface SimulatedLoad {
  /** Puts and deletes in all. */
  readonly writes: number
  /** Different keys, of `uniform` and `zipf`. */
  readonly keys: number
  /**
   * `uniform`: every key alike. `zipf`: few keys get most writes, spread over the key space. `sequential`: every put a new
   * key at the end. `queue`: the same, and deletes take the oldest key that is left.
   */
  readonly keyDistribution: KeyDistribution
  /** Share of the writes that are deletes, in percent. */
  readonly deletePercent: number
  readonly seed: number
}

export interface SimulatedWrite {
  readonly key: number
  readonly deleted: boolean
}

/** The writes of a load, one after another; the same seed gives the same load. */
export function* simulatedWrites(load: SimulatedLoad): Generator<SimulatedWrite> {
  const random = new SeededRandom(load.seed)
  const nextKey = load.keyDistribution === 'zipf' ? zipfKeys(load.keys, random) : () => random.below(load.keys)
  let appended = 0
  let removed = 0
  for (let i = 0; i < load.writes; i++) {
    const deleted = random.below(100) < load.deletePercent
    if (load.keyDistribution === 'sequential' || load.keyDistribution === 'queue') {
      if (!deleted || appended === removed) yield { key: appended++, deleted: false }
      else yield { key: load.keyDistribution === 'queue' ? removed++ : random.below(appended), deleted: true }
    } else {
      yield { key: nextKey(), deleted }
    }
  }
}

const ZIPF_EXPONENT = 0.99

/**
 * Zipf-distributed ranks after Gray et al., "Quickly generating billion-record synthetic databases" (1994), scattered over
 * the key space by a multiplication with an odd constant.
 */
function zipfKeys(keys: number, random: SeededRandom): () => number {
  const zeta = (count: number): number => {
    let sum = 0
    for (let i = 1; i <= count; i++) sum += 1 / i ** ZIPF_EXPONENT
    return sum
  }
  const whole = zeta(keys)
  const alpha = 1 / (1 - ZIPF_EXPONENT)
  const eta = (1 - (2 / keys) ** (1 - ZIPF_EXPONENT)) / (1 - zeta(Math.min(2, keys)) / whole)
  return () => {
    const u = random.next()
    const uz = u * whole
    const rank = uz < 1 ? 0 : uz < 1 + 0.5 ** ZIPF_EXPONENT ? 1 : Math.floor(keys * (eta * u - eta + 1) ** alpha)
    return (Math.imul(Math.min(rank, keys - 1), 0x9e3779b1) >>> 0) % keys
  }
}
