import { SeededRandom } from '@moraine/base'

/** Something that a user did. */
export interface Click {
  readonly user: string
  readonly time: number
  readonly cents: number
}

const START = Date.UTC(2026, 0, 1)
const STEP_MS = 1_000
const USERS = 1_000

/** How far clicks are out of order. */
export const OUT_OF_ORDERNESS_MS: number = 10 * 60_000

/** Click `number` of the endless stream of a seed. */
export function click(seed: number, number: number): Click {
  const random = new SeededRandom(Math.imul(seed, 0x9e3779b1) ^ number)
  const user = `user-${random.below(USERS)}`
  const time = START + number * STEP_MS - random.below(OUT_OF_ORDERNESS_MS + 1)
  return { user, time, cents: random.chance(0.2) ? 100 + random.below(10_000) : 0 }
}
