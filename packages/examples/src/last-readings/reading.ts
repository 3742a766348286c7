import { SeededRandom } from '@moraine/base'

/** What a device sends, or somebody asks about it. */
export type DeviceEvent =
  | { readonly kind: 'reading'; readonly device: string; readonly time: number; readonly celsius: number }
  | { readonly kind: 'question'; readonly id: number; readonly device: string; readonly time: number }

const START = Date.UTC(2026, 0, 1)
const STEP_MS = 200
const DEVICES = 2_000

/** How far events are out of order. */
export const OUT_OF_ORDERNESS_MS = 10_000

/** Event `number`: three of four are readings. Some devices send often, and some hardly ever. */
export function deviceEvent(seed: number, number: number): DeviceEvent {
  const random = new SeededRandom(Math.imul(seed, 0x27d4eb2f) ^ number)
  const time = START + number * STEP_MS - random.below(OUT_OF_ORDERNESS_MS + 1)
  if (random.chance(0.25)) return { kind: 'question', id: number, device: `device-${random.below(DEVICES)}`, time }
  const device = Math.floor(random.next() * random.next() * DEVICES)
  return { kind: 'reading', device: `device-${device}`, time, celsius: random.below(400) / 10 }
}
