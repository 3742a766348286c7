// Invariant: a checkpoint that was taken from outside a writer can be cloned by its name for as long as it is there.
import { SeededRandom, systemClock } from '@moraine/base'
import { MemoryObjectStore, PrefixedObjectStore, type StoreCall, WrappedObjectStore } from '@moraine/object-store'
import { expect, test } from 'vitest'
import { clone } from '../db/clone.ts'
import { open } from '../db/open.ts'
import type { ManifestId } from '../layout/numbers.ts'
import { createPin, type Pin, releasePin } from './pins.ts'

async function prepared(): Promise<{ store: MemoryObjectStore; own: PrefixedObjectStore; pin: Pin }> {
  const store = new MemoryObjectStore()
  const db = await open({ store, prefix: 'a' }, { wal: 'none' })
  await db.put('then', '1')
  await db.flush()
  const manifestId = db.stats().manifestId as ManifestId
  const own = new PrefixedObjectStore(store, 'a')
  const note = { holder: 'a test', createdAtMs: 0, name: 'outside' }
  const pin = await createPin(own, { manifestId, scope: 'only', holder: { kind: 'checkpoint' }, note }, new SeededRandom(1))
  await db.put('now', '2')
  await db.compact()
  await db.close()
  return { store, own, pin }
}

test('it holds what was there then', async () => {
  const { store } = await prepared()
  await clone({ store, prefix: 'a' }, { store, prefix: 'b' }, { checkpoint: 'outside' })
  const db = await open({ store, prefix: 'b' }, { wal: 'none' })
  expect([await db.get('then'), await db.get('now')]).toEqual([new Uint8Array([49]), undefined])
  await db.close()
})

test('pitfall 4: one that is deleted before any call of the clone is cloned whole or refused', async () => {
  for (let at = 1; ; at++) {
    const { store, own, pin } = await prepared()
    let calls = 0
    class Interrupted extends WrappedObjectStore {
      protected override async around<T>(_call: StoreCall, run: () => Promise<T>): Promise<T> {
        if (++calls === at) await releasePin(own, pin)
        return await run()
      }
    }
    const shared = new Interrupted(store)
    const made = clone({ store: shared, prefix: 'a' }, { store: shared, prefix: 'b' }, { checkpoint: 'outside', clock: systemClock })
    const outcome = await made.then(() => 'ok', (error: unknown) => (error as { code: string }).code)
    expect(['ok', 'INVALID'], `call ${at}`).toContain(outcome)
    const pins = (await own.list('pin/')).objects.filter(({ key }) => key.endsWith('.clone'))
    expect(pins, `call ${at}`).toHaveLength(outcome === 'ok' ? 1 : 0)
    if (calls < at) break
  }
})
