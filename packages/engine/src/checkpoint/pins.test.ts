// Invariant: whoever lists pins sees exactly what is protected and until when, by the store's clock alone; replacing a
// pin leaves no moment without one; a pin that cannot be understood stops the collector.
import { SeededRandom } from '@moraine/base'
import { CountingObjectStore, MemoryObjectStore } from '@moraine/object-store'
import { CutObjectStore, SimulatedClock } from '@moraine/testing'
import { expect, test } from 'vitest'
import type { ManifestId } from '../layout/numbers.ts'
import {
  createPin,
  decodePinNote,
  encodePinNote,
  isLapsed,
  LEASE_GRACE_MS,
  listPins,
  narrowPin,
  type Pin,
  protects,
  readPinNote,
  releasePin,
  renewPin,
} from './pins.ts'

const note = { holder: 'a test', createdAtMs: 5, name: 'nightly', metadata: '{"offset":7}' }
const id = (number: number): ManifestId => number as ManifestId

test('a pin is listed with what its name says, and its body says the rest', async () => {
  const store = new MemoryObjectStore()
  const random = new SeededRandom(1)
  const lease = await createPin(
    store,
    { manifestId: id(7), scope: 'from', holder: { kind: 'lease', leaseMs: 30_000 }, note: { holder: 'r', createdAtMs: 1 } },
    random,
  )
  const named = await createPin(store, { manifestId: id(9), scope: 'only', holder: { kind: 'checkpoint' }, note }, random)
  const { pins } = await listPins(store)
  expect(pins.map(({ name, manifestId, scope, holder }) => ({ name, manifestId, scope, holder }))).toEqual([
    { name: lease.name, manifestId: 7, scope: 'from', holder: { kind: 'lease', leaseMs: 30_000 } },
    { name: named.name, manifestId: 9, scope: 'only', holder: { kind: 'checkpoint' } },
  ])
  expect(await readPinNote(store, named.name)).toEqual(note)
  await releasePin(store, named)
  expect(await readPinNote(store, named.name)).toBeUndefined()
  expect((await listPins(store)).pins).toHaveLength(1)
})

test('an open pin protects its manifest and every later one, an exact pin only its own', () => {
  const pin = { manifestId: id(5), unique: '', holder: { kind: 'clone' } } as const
  expect([4, 5, 6].map((at) => protects({ ...pin, scope: 'from' }, id(at)))).toEqual([false, true, true])
  expect([4, 5, 6].map((at) => protects({ ...pin, scope: 'only' }, id(at)))).toEqual([false, true, false])
})

test('a lease lapses by the time of the store, and a renewal prolongs it', async () => {
  const clock = new SimulatedClock()
  const store = new MemoryObjectStore({ clock })
  const holder = { kind: 'lease', leaseMs: 10_000 } as const
  const pin = await createPin(store, { manifestId: id(1), scope: 'only', holder, note }, new SeededRandom(1))
  const lapsed = async (): Promise<boolean[]> => {
    const { pins, storeTimeMs } = await listPins(store)
    return pins.map((listed) => isLapsed(listed, storeTimeMs))
  }
  await clock.advance(10_000 + LEASE_GRACE_MS)
  expect(await lapsed()).toEqual([false])
  await clock.advance(1)
  expect(await lapsed()).toEqual([true])
  await renewPin(store, pin)
  expect(await lapsed()).toEqual([false])
})

test('pins of clones and checkpoints never lapse', async () => {
  const clock = new SimulatedClock()
  const store = new MemoryObjectStore({ clock })
  const random = new SeededRandom(1)
  for (const kind of ['clone', 'checkpoint'] as const) {
    await createPin(store, { manifestId: id(1), scope: 'only', holder: { kind }, note }, random)
  }
  await clock.advance(10 * 365 * 86_400_000)
  const { pins, storeTimeMs } = await listPins(store)
  expect(pins.map((pin) => isLapsed(pin, storeTimeMs))).toEqual([false, false])
})

test('a lease renewed while a long listing runs does not look lapsed', async () => {
  const clock = new SimulatedClock()
  const inner = new MemoryObjectStore({ clock })
  const holder = { kind: 'lease', leaseMs: 1000 } as const
  const random = new SeededRandom(1)
  const pins: Pin[] = []
  for (let i = 0; i < 3; i++) pins.push(await createPin(inner, { manifestId: id(1), scope: 'only', holder, note }, random))
  class SlowList extends CountingObjectStore {
    override async list(...[prefix, options]: Parameters<CountingObjectStore['list']>): ReturnType<CountingObjectStore['list']> {
      const page = await super.list(prefix, { ...options, maxKeys: 1 })
      // Between two pages a lease's time passes, and every pin is renewed.
      await clock.advance(1000 + LEASE_GRACE_MS)
      for (const pin of pins) await renewPin(inner, pin)
      return page
    }
  }
  const { pins: listed, storeTimeMs } = await listPins(new SlowList(inner, { clock }))
  expect(listed.map((pin) => isLapsed(pin, storeTimeMs))).toEqual([false, false, false])
})

test('pitfall 4: narrowing a pin never leaves the manifest without one, wherever it is cut off', async () => {
  for (const call of [1, 2]) {
    for (const when of ['before', 'after'] as const) {
      const store = new MemoryObjectStore()
      const random = new SeededRandom(1)
      const holder = { kind: 'clone' } as const
      const open = await createPin(store, { manifestId: id(3), scope: 'from', holder, note }, random)
      const cut = new CutObjectStore(store, { call, when })
      void narrowPin(cut, open, id(4), random)
      await cut.reached
      const { pins } = await listPins(store)
      expect(pins.some((pin) => protects(pin, id(4))), `${when} call ${call}`).toBe(true)
    }
  }
})

test('an unknown name under pin/ is refused, not skipped', async () => {
  const store = new MemoryObjectStore()
  await store.put('pin/000000000000001-new-kind-of-pin', new Uint8Array(0))
  await expect(listPins(store)).rejects.toMatchObject({ code: 'INVALID' })
})

test('pitfall 16: no flipped bit in a pin is read as something else', () => {
  const bytes = encodePinNote(note)
  expect(decodePinNote(bytes, 'pin/x')).toEqual(note)
  for (let i = 0; i < bytes.length - 1; i++) {
    const flipped = bytes.slice()
    flipped[i] = (flipped[i] as number) ^ 1
    expect(() => decodePinNote(flipped, 'pin/x'), `byte ${i}`).toThrow(/checksum/)
  }
})
