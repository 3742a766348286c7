import { SeededRandom } from '@moraine/base'

/** Something that a user was shown, or bought. The two streams of the join, told apart by `kind`. */
export interface AdEvent {
  readonly kind: 'impression' | 'purchase'
  /** Unique within its stream. */
  readonly id: number
  readonly user: string
  readonly time: number
}

const START = Date.UTC(2026, 0, 1)
const STEP_MS = 500
const USERS = 500

/** How far each stream is out of order. */
export const OUT_OF_ORDERNESS_MS = 30_000

/** Event `number`: the even ones are impressions, the odd ones purchases, so that either stream is a partition. */
export function adEvent(seed: number, number: number): AdEvent {
  const random = new SeededRandom(Math.imul(seed, 0x85ebca77) ^ number)
  const time = START + number * STEP_MS - random.below(OUT_OF_ORDERNESS_MS + 1)
  return { kind: number % 2 === 0 ? 'impression' : 'purchase', id: Math.floor(number / 2), user: `user-${random.below(USERS)}`, time }
}
