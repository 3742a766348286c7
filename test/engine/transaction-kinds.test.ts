// Invariant: whatever a database can do to its keys (expiry, merges, range deletes, keyspaces), transactions and conditional
// writes see it, conflict with it, and do it as the database itself does.
import { utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { SimulatedClock } from '@moraine/testing'
import { type Db, type MergeOperator, open, type OpenOptions, type Transaction } from 'moraine'
import { expect, test } from 'vitest'
import { contents, outcomeOf, QUIET, textOf } from './subject.ts'

/** Puts the operands behind the value, as text. */
const APPEND: MergeOperator = {
  name: 'append-text',
  version: 1,
  merge: (_key, base, operands) => new Uint8Array(Buffer.concat([base ?? new Uint8Array(), ...operands])),
}

async function openWith(options: OpenOptions = {}): Promise<{ db: Db; clock: SimulatedClock; store: MemoryObjectStore }> {
  const clock = new SimulatedClock()
  const store = new MemoryObjectStore({ clock })
  return { db: await open({ store }, { ...QUIET, clock, ...options }), clock, store }
}

async function scanned(tx: Transaction, options: Parameters<Transaction['scan']>[0] = {}): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const [key, value] of tx.scan(options)) found[utf8Decode(key)] = utf8Decode(value)
  return found
}

for (const place of ['memory', 'tables'] as const) {
  const settle = (db: Db): Promise<void> => (place === 'memory' ? Promise.resolve() : db.flush())

  test(`range deletes of others conflict with what they cover, and with nothing else; values in ${place}`, async () => {
    const { db } = await openWith()
    for (const key of ['a', 'b', 'c', 'd']) await db.put(key, '1')
    await settle(db)
    const begin = (isolation: 'snapshot' | 'serializable'): Transaction => db.transaction({ isolation })
    const [writes, reads, absent, scans, beyond] = [begin('snapshot'), begin('serializable'), begin('serializable'), begin('serializable'), begin('serializable')]
    await writes.put('b', '2')
    for (const [tx, key] of [[reads, 'b'], [absent, 'bb'], [beyond, 'd']] as const) await tx.get(key)
    expect(await scanned(scans, { gte: 'bb', lt: 'bc' })).toEqual({})
    await scanned(beyond, { gte: 'c' })
    for (const [i, tx] of [reads, absent, scans, beyond].entries()) await tx.put(`result-${i}`, '1')
    await db.deleteRange({ gte: 'b', lt: 'c' })
    await settle(db)
    const outcomes = await Promise.all([writes, reads, absent, scans, beyond].map((tx) => outcomeOf(tx.commit())))
    expect(outcomes).toEqual(['CONFLICT', 'CONFLICT', 'CONFLICT', 'CONFLICT', 'ok'])
    expect(db.stats()).toMatchObject({ transactions: { open: 0, windowBytes: 0 }, snapshots: 0 })
    await db.close()
  })

  test(`its own range deletes hide the snapshot, give way to later puts, and conflict with every key inside; values in ${place}`, async () => {
    const { db } = await openWith()
    for (const key of ['a', 'b', 'c', 'd']) await db.put(key, '1')
    await settle(db)
    const [tx, loser] = [db.transaction(), db.transaction()]
    await tx.put('bb', '2')
    await tx.deleteRange({ gte: 'b', lt: 'd' })
    await tx.put('c', '2')
    await loser.deleteRange({ gte: 'bb' })
    expect([await textOf(tx.get('b')), await textOf(tx.get('bb')), await textOf(tx.get('c'))]).toEqual([undefined, undefined, '2'])
    expect(await scanned(tx)).toEqual({ a: '1', c: '2', d: '1' })
    expect(Object.keys(await scanned(tx, { reverse: true }))).toEqual(['d', 'c', 'a'])
    expect(await outcomeOf(tx.deleteRange({ gte: 'z', lt: 'a' }))).toBe('INVALID')
    await tx.commit()
    expect(await contents(db)).toEqual({ a: '1', c: '2', d: '1' })
    await expect(loser.commit()).rejects.toMatchObject({ code: 'CONFLICT', detail: { range: "from 'bb' on" } })
    await db.close()
  })

  test(`merges count as writes, and give a new version; values in ${place}`, async () => {
    const { db } = await openWith({ mergeOperator: APPEND })
    await db.put('k', 'a')
    await settle(db)
    const [writes, reads] = [db.transaction(), db.transaction({ isolation: 'serializable' })]
    await writes.put('k', 'mine')
    expect(await textOf(reads.get('k'))).toBe('a')
    await db.merge('k', 'b')
    await settle(db)
    expect(await outcomeOf(writes.commit())).toBe('CONFLICT')
    expect(await outcomeOf(reads.commit())).toBe('CONFLICT')
    const entry = await db.getEntry('k')
    expect([utf8Decode(entry?.value as Uint8Array), entry?.version]).toEqual(['ab', 2])
    expect(await outcomeOf(db.put('k', 'c', { ifVersion: 1 }))).toBe('CONFLICT')
    expect(await outcomeOf(db.put('k', 'c', { ifVersion: 2 }))).toBe('ok')
    await db.close()
  })

  test(`what has expired is absent, also to conditions; times to live count from the commit; values in ${place}`, async () => {
    const { db, clock } = await openWith()
    await db.put('k', '1', { ttlMs: 1000 })
    await settle(db)
    expect(await db.getEntry('k')).toMatchObject({ version: 1, expiresAt: clock.nowMs() + 1000 })
    expect(await outcomeOf(db.put('k', '2', { ifAbsent: true }))).toBe('CONFLICT')
    await clock.advance(1000)
    expect(await db.getEntry('k')).toBeUndefined()
    expect(await outcomeOf(db.put('k', '2', { ifVersion: 1 }))).toBe('CONFLICT')
    await db.put('k', '2', { ifAbsent: true, ttlMs: 500 })
    const tx = db.transaction()
    await tx.put('t', '1', { ttlMs: 1000 })
    await tx.put('forever', '1')
    await clock.advance(5000)
    expect(await textOf(tx.get('t'))).toBe('1')
    expect(await outcomeOf(tx.put('t', '1', { ttlMs: 0 }))).toBe('INVALID')
    await tx.commit()
    expect(await db.getEntry('t')).toMatchObject({ expiresAt: clock.nowMs() + 1000 })
    await clock.advance(1000)
    expect(await contents(db)).toEqual({ forever: '1' })
    await clock.drive(db.close())
  })

  test(`keyspaces: one transaction over several, keys of their own; values in ${place}`, async () => {
    const { db, clock } = await openWith()
    const orders = db.keyspace('orders', { ttlMs: 60_000 })
    await db.put('k', 'default')
    await orders.put('k', 'orders')
    await orders.put(new Uint8Array([255]), 'last')
    await db.put(new Uint8Array([255]), 'last')
    await settle(db)
    const tx = db.transaction({ isolation: 'serializable' })
    expect([await textOf(tx.get('k')), await textOf(tx.get('k', { keyspace: orders })), await textOf(tx.get('k', { keyspace: 'other' }))]).toEqual(['default', 'orders', undefined])
    await tx.put('a', '1')
    await tx.put('b', '2', { keyspace: 'orders' })
    await tx.put(new Uint8Array([255, 1]), '3')
    await tx.delete('k', { keyspace: orders })
    const keysOf = async (options: Parameters<Transaction['scan']>[0]): Promise<number[][]> => {
      const keys: number[][] = []
      for await (const [key] of tx.scan(options)) keys.push([...key])
      return keys
    }
    expect(await keysOf({})).toEqual([[97], [107], [255], [255, 1]])
    expect(await keysOf({ reverse: true, limit: 3 })).toEqual([[255, 1], [255], [107]])
    expect(await keysOf({ keyspace: 'orders' })).toEqual([[98], [255]])
    expect((await tx.getMany(['k', 'b'], { keyspace: orders })).map((value) => value?.length)).toEqual([undefined, 1])
    // In a keyspace that it has not read.
    await db.keyspace('unread').put('k', 'x')
    await tx.commit()
    expect(await textOf(orders.get('b'))).toBe('2')
    expect((await orders.getEntry('b'))?.expiresAt).toBe(clock.nowMs() + 60_000)
    expect((await db.getEntry('a'))?.expiresAt).toBeUndefined()

    const [same, other] = [db.transaction({ isolation: 'serializable' }), db.transaction({ isolation: 'serializable' })]
    await scanned(same, { keyspace: 'orders' })
    await scanned(other)
    for (const one of [same, other]) await one.put('result', '1', { keyspace: one === same ? 'r1' : 'r2' })
    await orders.put('phantom', '1')
    expect(await outcomeOf(other.commit())).toBe('ok')
    await expect(same.commit()).rejects.toMatchObject({ code: 'CONFLICT', detail: { key: 'phantom', range: 'from the first key on', keyspace: 'orders' } })
    await expect(orders.put('phantom', '2', { ifAbsent: true })).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining("'phantom'") as string })
    expect(await outcomeOf(db.put('phantom', '2', { ifAbsent: true }))).toBe('ok')
    for (const call of [() => other.get('k'), () => db.transaction().get('k', { keyspace: 'no/name' }), () => db.transaction().put('k', 'v', { keyspace: 7 as never })]) {
      expect(['CLOSED', 'INVALID']).toContain(await outcomeOf(call()))
    }
    await clock.drive(db.close())
  })
}
