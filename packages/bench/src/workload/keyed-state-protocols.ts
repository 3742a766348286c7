import { systemRandom } from '@moraine/base'
import { CountingObjectStore, parseLocation, subtractRequests } from '@moraine/object-store'
import { bytes, type KeyedStateBackend, listState, openKeyedState, rescaleKeyedState, utf8 } from '@moraine/keyed-state'
import type { Location } from 'moraine'
import type { Figures, FigureSpec, MeasureContext, Workload } from './workload.ts'

const SIZES: readonly { readonly label: string; readonly bytes: number }[] = [
  { label: '10 MB', bytes: 10e6 },
  { label: '100 MB', bytes: 100e6 },
]
const STEPS = ['restore', 'first read after it', 'checkpoint of a small change', 'rescale 1 to 4'] as const
type Step = (typeof STEPS)[number]

const VALUE_BYTES = 8 * 1024
const KEYS = 1_000

/** What should cost the same whatever the size of the state. */
export const keyedStateProtocols: Workload = {
  name: 'keyed-state-protocols',
  figures: SIZES.flatMap(({ label }) =>
    STEPS.flatMap((step): FigureSpec[] => [
      { name: `keyed state: ${step} at ${label}, requests`, unit: 'count', better: 'less', target: '' },
      { name: `keyed state: ${step} at ${label}`, unit: 'ms', better: 'less', target: 'flat' },
    ]),
  ),
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const parsed = parseLocation(context.freshSettings().location)
    const store = new CountingObjectStore(parsed.store)
    const at = (name: string): Location => ({ store, prefix: parsed.prefix === '' ? name : `${parsed.prefix}/${name}` })
    const figures: Record<string, number> = {}
    const declare = (job: KeyedStateBackend<string>) => job.state(listState('rows', { codec: bytes }))
    let rows = 0
    try {
      for (const { label, bytes: size } of SIZES) {
        const timed = async <Result>(step: Step, work: () => Promise<Result>): Promise<Result> => {
          const before = store.snapshot()
          const startMs = context.nowMs()
          const result = await work()
          figures[`keyed state: ${step} at ${label}`] = context.nowMs() - startMs
          figures[`keyed state: ${step} at ${label}, requests`] = subtractRequests(store.snapshot(), before).requests
          return result
        }
        const loader = await openKeyedState(at('job'), { keyCodec: utf8 })
        for (; rows * VALUE_BYTES < size; rows++) {
          await declare(loader).of(`key-${rows % KEYS}`).add(systemRandom.fill(new Uint8Array(VALUE_BYTES)))
        }
        await loader.checkpoint({ metadata: { label } })
        await loader.close()
        const job = await timed('restore', () => openKeyedState(at('job'), { keyCodec: utf8 }))
        await timed('first read after it', () => declare(job).of('key-7').get())
        await declare(job).of('key-7').add(new Uint8Array(8))
        await timed('checkpoint of a small change', () => job.checkpoint({ metadata: { label } }))
        await job.close()
        const targets = [0, 1, 2, 3].map((i) => at(`part ${i} of ${label}`))
        await timed('rescale 1 to 4', () => rescaleKeyedState([{ location: at('job') }], targets))
      }
    } finally {
      await store.close()
    }
    return figures
  },
}
