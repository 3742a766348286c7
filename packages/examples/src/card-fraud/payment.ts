import { SeededRandom } from '@moraine/base'

export interface Payment {
  /** Its number in the stream. */
  readonly id: number
  readonly card: string
  readonly time: number
  readonly cents: number
  readonly country: string
}

const START = Date.UTC(2026, 0, 1)
const STEP_MS = 100
const CARDS = 400
const COUNTRIES = ['AT', 'BR', 'CH', 'DE', 'FR', 'IN', 'JP', 'US'] as const

/** How far payments are out of order. */
export const OUT_OF_ORDERNESS_MS = 5_000

/** Payment `id`: mostly ordinary amounts in the card's home country. */
export function payment(seed: number, id: number): Payment {
  const random = new SeededRandom(Math.imul(seed, 0xc2b2ae3d) ^ id)
  const card = random.below(CARDS)
  const kind = random.next()
  const cents = kind < 0.03 ? 1 + random.below(99) : kind < 0.06 ? 50_000 + random.below(450_000) : 500 + random.below(20_000)
  const home = COUNTRIES[card % COUNTRIES.length] as string
  const country = random.chance(0.03) ? random.pick(COUNTRIES) : home
  return { id, card: `card-${card}`, time: START + id * STEP_MS - random.below(OUT_OF_ORDERNESS_MS + 1), cents, country }
}
