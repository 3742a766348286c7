import type { SeededRandom } from '@moraine/base'
import type { ModelOperation } from '../model/model-database.ts'

/** One of so few keys that databases overwrite, delete and share them all the time. */
export function drawKey(random: SeededRandom): string {
  return `key-${String(random.below(200)).padStart(3, '0')}`
}

export function drawRange(random: SeededRandom): { gte: string; lt: string } {
  const [a, b] = [drawKey(random), drawKey(random)]
  return a < b ? { gte: a, lt: b } : { gte: b, lt: `${a}~` }
}

/** A put whose value tells when it was made, or a delete. */
export function drawOperation(random: SeededRandom, step: number): ModelOperation {
  const value = random.chance(0.25) ? undefined : `${step}:${'v'.repeat(random.below(80))}`
  return { key: drawKey(random), value }
}
