import type { JsonValue } from 'moraine'
import { formatCount } from '../flights/format.ts'
import type { Example, ExampleSize } from '../runner/example.ts'
import { fraudJob } from './fraud-job.ts'
import { type Payment, payment } from './payment.ts'
import { type Alert, byTime, type CardMemory, judge, NOTHING } from './rules.ts'

export const cardFraud: Example<Payment, string> = {
  name: 'card-fraud',
  summary: 'Fraud rules over card payments: a small payment, then a large one within a minute; three countries in ten minutes',
  defaultRecords: 200_000,
  mostRecords: 5_000_000,
  outputs: ['alerts', 'late'],
  job: fraudJob,
  answer: async (size) => ({ alerts: plainAlerts(size), late: [] }),
  highlights({ alerts = [] }) {
    const rows = alerts as Alert[]
    const of = (rule: Alert[0]): string => formatCount(rows.filter((row) => row[0] === rule).length)
    return [`${of('probe')} alerts for a small payment before a large one, ${of('travel')} for three countries in ten minutes`]
  },
}

/** All payments in the order of time, the memory of a card in a map, and nothing is ever forgotten. */
function plainAlerts({ records, seed }: ExampleSize): JsonValue[] {
  const payments = Array.from({ length: records }, (_, id) => payment(seed, id)).sort(byTime)
  const memories = new Map<string, CardMemory>()
  return payments.flatMap((one) => {
    const { memory, alerts } = judge(memories.get(one.card) ?? NOTHING, one)
    memories.set(one.card, memory)
    return alerts
  })
}
