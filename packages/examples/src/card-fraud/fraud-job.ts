import { json, utf8, valueState } from '@moraine/keyed-state'
import { GeneratedSource } from '../harness/generated-source.ts'
import type { Job } from '../harness/job.ts'
import type { ExampleSize } from '../runner/example.ts'
import { OUT_OF_ORDERNESS_MS, type Payment, payment } from './payment.ts'
import { byTime, type CardMemory, judge, MEMORY_MS, NOTHING } from './rules.ts'

const waitingState = valueState('waiting', { codec: json<Payment[]>() })
const memoryState = valueState('memory', { codec: json<CardMemory & { lastAt: number }>() })

/**
 * Rules over the payments of a card in the order of time, from a stream that is not: a payment waits until the watermark says
 * that none before it is still to come. A second timer, ten minutes after a payment, forgets a card that has been quiet since.
 */
export function fraudJob({ records, seed }: ExampleSize): Job<Payment, string> {
  return {
    source: new GeneratedSource({ records, partitions: 3, batchRecords: 128, generate: (id) => payment(seed, id) }),
    keyCodec: utf8,
    outOfOrdernessMs: OUT_OF_ORDERNESS_MS,
    keyOf: ({ card }) => card,
    timeOf: ({ time }) => time,
    open({ state, emit }) {
      const waiting = state.state(waitingState)
      const memory = state.state(memoryState)

      const judgeDue = async (card: string, time: number): Promise<void> => {
        const all = (await waiting.of(card).get()) ?? []
        const due = all.filter((one) => one.time <= time).sort(byTime)
        const last = due.at(-1)
        // Two payments of one moment have one timer, and it has been here.
        if (last === undefined) return
        let known: CardMemory = (await memory.of(card).get()) ?? NOTHING
        for (const one of due) {
          const judged = judge(known, one)
          known = judged.memory
          for (const alert of judged.alerts) emit('alerts', alert)
        }
        await memory.of(card).set({ smallAt: known.smallAt, visits: known.visits, lastAt: last.time })
        const left = all.filter((one) => one.time > time)
        if (left.length > 0) await waiting.of(card).set(left)
        else await waiting.of(card).clear()
        await state.timers.register({ key: card, namespace: 'forget', time: last.time + MEMORY_MS + 1, domain: 'event' })
      }

      return {
        async process(record) {
          const { card, time } = record
          if (state.watermark !== undefined && time <= state.watermark) return emit('late', record.id)
          await waiting.of(card).update((known = []) => [...known, record])
          await state.timers.register({ key: card, namespace: 'judge', time, domain: 'event' })
        },

        async onTimer({ key: card, namespace, time }) {
          if (namespace === 'judge') return await judgeDue(card, time)
          const known = await memory.of(card).get()
          if (known !== undefined && known.lastAt + MEMORY_MS < time) await memory.of(card).clear()
        },
      }
    },
  }
}
