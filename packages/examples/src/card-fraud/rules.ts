import type { Payment } from './payment.ts'

const SMALL_CENTS = 100
const LARGE_CENTS = 50_000
const PROBE_MS = 60_000
const TRAVEL_MS = 10 * 60_000
const MANY_COUNTRIES = 3

/** How long a payment matters to the rules. */
export const MEMORY_MS: number = TRAVEL_MS

/** What the rules remember of a card. */
export interface CardMemory {
  /** Time of the last small payment. */
  readonly smallAt: number | null
  /** Payments of the last ten minutes in countries, oldest first. */
  readonly visits: readonly (readonly [time: number, country: string])[]
}

export type Alert = [rule: 'probe' | 'travel', card: string, payment: number, time: number]

export const NOTHING: CardMemory = { smallAt: null, visits: [] }

/**
 * Applies the rules to the next payment of a card in the order of time:
 *
 *   probe    a payment of less than 1.00, then one of 500.00 or more within a minute: somebody has tried whether the card works
 *   travel   payments in three countries within ten minutes; the countries are forgotten with the alert
 */
export function judge(memory: CardMemory, { id, card, time, cents, country }: Payment): { memory: CardMemory; alerts: Alert[] } {
  const alerts: Alert[] = []
  let { smallAt } = memory
  if (cents >= LARGE_CENTS && smallAt !== null && time - smallAt <= PROBE_MS) {
    alerts.push(['probe', card, id, time])
    smallAt = null
  }
  if (cents < SMALL_CENTS) smallAt = time
  let visits = [...memory.visits.filter(([at]) => time - at <= TRAVEL_MS), [time, country] as const]
  if (new Set(visits.map(([, name]) => name)).size >= MANY_COUNTRIES) {
    alerts.push(['travel', card, id, time])
    visits = []
  }
  return { memory: { smallAt, visits }, alerts }
}

/** Payments of one moment count in the order of their numbers. */
export function byTime(a: Payment, b: Payment): number {
  return a.time - b.time || a.id - b.id
}
