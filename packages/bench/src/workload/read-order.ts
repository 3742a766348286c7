import { SeededRandom } from '@moraine/base'
import type { MeasureContext } from './workload.ts'

/** Keys of all entries in a random order, made before the clock runs: making a key costs as much as a hot read. */
export function readOrder(context: MeasureContext, keyAt: (i: number) => Uint8Array): Uint8Array[] {
  const random = new SeededRandom(context.rows)
  const keys = Array.from({ length: context.rows }, (_, i) => keyAt(i))
  for (let i = keys.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const swapped = keys[i] as Uint8Array
    keys[i] = keys[j] as Uint8Array
    keys[j] = swapped
  }
  return keys
}
