// Invariant: at each isolation level exactly the anomalies are possible that its definition allows, wherever the values are:
// in memory, in tables, or in tables that nothing of is cached. The cases are the litmus tests of the literature (Adya's G0
// to G2, Berenson's P4 and A5, Fekete's read-only anomaly), and phantoms in the shapes that scans can have.
import { utf8Decode } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { type Db, type IsolationLevel, open, type OpenOptions, type Transaction } from 'moraine'
import { describe, expect, test } from 'vitest'
import { contents, outcomeOf, QUIET, textOf } from './subject.ts'

interface Litmus {
  readonly name: string
  /** What is there before; default x = 10, y = 20. */
  readonly before?: Readonly<Record<string, string>>
  /** Runs the history, and says in words what happened: outcomes of commits, values read. */
  run(begin: () => Transaction, db: Db): Promise<readonly (string | undefined)[]>
  readonly snapshot: readonly (string | undefined)[]
  readonly serializable: readonly (string | undefined)[]
  /** What is there after, at snapshot and at serializable; looked at when given. */
  readonly after?: readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>]
}

const commit = (tx: Transaction): Promise<string> => outcomeOf(tx.commit())
const read = (tx: Transaction, key: string): Promise<string | undefined> => textOf(tx.get(key))

/** Keys and values in the order of the scan, as one text. */
async function scanned(tx: Transaction, options: Parameters<Transaction['scan']>[0], most = Number.POSITIVE_INFINITY): Promise<string> {
  const found: string[] = []
  if (most <= 0) return ''
  for await (const [key, value] of tx.scan(options)) {
    found.push(`${utf8Decode(key)}=${utf8Decode(value)}`)
    if (found.length >= most) break
  }
  return found.join(' ')
}

const LETTERS = Object.fromEntries([...'abcdefgh'].map((letter) => [letter, '1']))

const LITMUS: readonly Litmus[] = [
  {
    name: 'G0, dirty write: writes of two transactions do not mix',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      await t1.put('x', '11')
      await t2.put('x', '12')
      await t1.put('y', '21')
      const first = await commit(t1)
      await t2.put('y', '22')
      return [first, await commit(t2)]
    },
    snapshot: ['ok', 'CONFLICT'],
    serializable: ['ok', 'CONFLICT'],
    after: [
      { x: '11', y: '21' },
      { x: '11', y: '21' },
    ],
  },
  {
    name: 'G1a, aborted read: what was rolled back was never seen',
    run: async (begin, db) => {
      const [t1, t2] = [begin(), begin()]
      await t1.put('x', '101')
      const during = await read(t2, 'x')
      const outside = await textOf(db.get('x'))
      await t1.rollback()
      return [during, outside, await read(t2, 'x'), await commit(t2)]
    },
    snapshot: ['10', '10', '10', 'ok'],
    serializable: ['10', '10', '10', 'ok'],
  },
  {
    name: 'G1b, intermediate read: no value that its writer replaced',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      await t1.put('x', '101')
      const before = await read(t2, 'x')
      await t1.put('x', '11')
      const first = await commit(t1)
      return [before, first, await read(t2, 'x'), await commit(t2), await read(begin(), 'x')]
    },
    snapshot: ['10', 'ok', '10', 'ok', '11'],
    serializable: ['10', 'ok', '10', 'CONFLICT', '11'],
  },
  {
    name: 'G1c, circular information flow: neither sees the uncommitted write of the other',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      await t1.put('x', '11')
      await t2.put('y', '22')
      return [await read(t1, 'y'), await read(t2, 'x'), await commit(t1), await commit(t2)]
    },
    snapshot: ['20', '10', 'ok', 'ok'],
    serializable: ['20', '10', 'ok', 'CONFLICT'],
  },
  {
    name: 'OTV, an observed transaction does not vanish',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      await t1.put('x', '11')
      await t1.put('y', '19')
      await t2.put('x', '12')
      await t2.put('y', '18')
      const first = await commit(t1)
      const t3 = begin()
      const x = await read(t3, 'x')
      return [first, x, await commit(t2), await read(t3, 'y'), await commit(t3)]
    },
    snapshot: ['ok', '11', 'CONFLICT', '19', 'ok'],
    serializable: ['ok', '11', 'CONFLICT', '19', 'ok'],
  },
  {
    name: 'G-single (A5A), read skew: both values are of one moment',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const x = await read(t1, 'x')
      await t2.put('x', '12')
      await t2.put('y', '18')
      return [x, await commit(t2), await read(t1, 'y'), await commit(t1)]
    },
    snapshot: ['10', 'ok', '20', 'ok'],
    serializable: ['10', 'ok', '20', 'CONFLICT'],
  },
  {
    name: 'P2, fuzzy read: a second read gives what the first one gave',
    run: async (begin, db) => {
      const tx = begin()
      const first = await read(tx, 'x')
      await db.delete('x')
      const many = await tx.getMany(['x', 'y'])
      return [first, await read(tx, 'x'), utf8Decode(many[0] as Uint8Array), await commit(tx)]
    },
    snapshot: ['10', '10', '10', 'ok'],
    serializable: ['10', '10', '10', 'CONFLICT'],
  },
  {
    name: 'G-single with a write: what it deletes was changed since its snapshot',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const x = await read(t1, 'x')
      await t2.put('x', '12')
      await t2.put('y', '18')
      const second = await commit(t2)
      await t1.delete('y')
      return [x, second, await commit(t1)]
    },
    snapshot: ['10', 'ok', 'CONFLICT'],
    serializable: ['10', 'ok', 'CONFLICT'],
    after: [
      { x: '12', y: '18' },
      { x: '12', y: '18' },
    ],
  },
  {
    name: 'P4, lost update',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const reads = [await read(t1, 'x'), await read(t2, 'x')]
      await t1.put('x', '11')
      await t2.put('x', '11')
      return [...reads, await commit(t1), await commit(t2)]
    },
    snapshot: ['10', '10', 'ok', 'CONFLICT'],
    serializable: ['10', '10', 'ok', 'CONFLICT'],
  },
  {
    name: 'P4, lost update: the other writer is no transaction',
    run: async (begin, db) => {
      const tx = begin()
      const x = await read(tx, 'x')
      await db.put('x', '12')
      await tx.put('x', '11')
      return [x, await commit(tx)]
    },
    snapshot: ['10', 'CONFLICT'],
    serializable: ['10', 'CONFLICT'],
    after: [
      { x: '12', y: '20' },
      { x: '12', y: '20' },
    ],
  },
  {
    name: 'two that delete the same key: the second may have meant another value',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      await t1.delete('x')
      await t2.delete('x')
      return [await commit(t1), await commit(t2)]
    },
    snapshot: ['ok', 'CONFLICT'],
    serializable: ['ok', 'CONFLICT'],
    after: [{ y: '20' }, { y: '20' }],
  },
  {
    name: 'G2-item (A5B), write skew',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const reads = [await read(t1, 'x'), await read(t1, 'y'), await read(t2, 'x'), await read(t2, 'y')]
      await t1.put('x', '11')
      await t2.put('y', '21')
      return [...reads, await commit(t1), await commit(t2)]
    },
    snapshot: ['10', '20', '10', '20', 'ok', 'ok'],
    serializable: ['10', '20', '10', '20', 'ok', 'CONFLICT'],
    after: [
      { x: '11', y: '21' },
      { x: '11', y: '20' },
    ],
  },
  {
    name: 'write skew on keys that are absent',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const reads = [await read(t1, 'p'), await read(t2, 'q')]
      await t1.put('q', '1')
      await t2.put('p', '1')
      return [...reads, await commit(t1), await commit(t2)]
    },
    snapshot: [undefined, undefined, 'ok', 'ok'],
    serializable: [undefined, undefined, 'ok', 'CONFLICT'],
  },
  {
    name: 'PMP, pitfall 21: phantoms do not appear in a repeated scan',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const first = await scanned(t1, { gte: 'x' })
      await t2.put('z', '30')
      return [first, await commit(t2), await scanned(t1, { gte: 'x' }), await commit(t1)]
    },
    snapshot: ['x=10 y=20', 'ok', 'x=10 y=20', 'ok'],
    serializable: ['x=10 y=20', 'ok', 'x=10 y=20', 'CONFLICT'],
  },
  {
    name: 'G2, pitfall 21: write skew by phantoms',
    run: async (begin) => {
      const [t1, t2] = [begin(), begin()]
      const scans = [await scanned(t1, { prefix: 'shift/' }), await scanned(t2, { prefix: 'shift/' })]
      await t1.put('shift/1', 'anna')
      await t2.put('shift/2', 'ben')
      return [...scans, await commit(t1), await commit(t2)]
    },
    snapshot: ['', '', 'ok', 'ok'],
    serializable: ['', '', 'ok', 'CONFLICT'],
  },
  {
    name: "Fekete's read-only anomaly: a reader sees an order that the writers did not have",
    before: { x: '0', y: '0' },
    run: async (begin) => {
      const withdrawal = begin()
      const reads = [await read(withdrawal, 'x'), await read(withdrawal, 'y')]
      const deposit = begin()
      await read(deposit, 'y')
      await deposit.put('y', '20')
      const deposited = await commit(deposit)
      const report = begin()
      const reported = [await read(report, 'x'), await read(report, 'y'), await commit(report)]
      await withdrawal.put('x', '-11')
      return [...reads, deposited, ...reported, await commit(withdrawal)]
    },
    snapshot: ['0', '0', 'ok', '0', '20', 'ok', 'ok'],
    serializable: ['0', '0', 'ok', '0', '20', 'ok', 'CONFLICT'],
  },
  {
    name: 'pitfall 21: a scan with a limit counts to its last key, not beyond',
    before: LETTERS,
    run: async (begin, db) => {
      const [t1, t2] = [begin(), begin()]
      const scans = [await scanned(t1, { gte: 'b', limit: 2 }), await scanned(t2, { gte: 'b', limit: 2 })]
      await db.put('d', '2')
      await t1.put('result', '1')
      const beyond = await commit(t1)
      await db.put('bb', '2')
      await t2.put('result of t2', '1')
      return [...scans, beyond, await commit(t2)]
    },
    snapshot: ['b=1 c=1', 'b=1 c=1', 'ok', 'ok'],
    serializable: ['b=1 c=1', 'b=1 c=1', 'ok', 'CONFLICT'],
  },
  {
    name: 'pitfall 21: a backward scan with a limit counts down to its last key',
    before: LETTERS,
    run: async (begin, db) => {
      const [t1, t2] = [begin(), begin()]
      const options = { lte: 'f', reverse: true, limit: 2 }
      const scans = [await scanned(t1, options), await scanned(t2, options)]
      await db.put('d', '2')
      await t1.put('result', '1')
      const beyond = await commit(t1)
      await db.put('ee', '2')
      await t2.put('result of t2', '1')
      return [...scans, beyond, await commit(t2)]
    },
    snapshot: ['f=1 e=1', 'f=1 e=1', 'ok', 'ok'],
    serializable: ['f=1 e=1', 'f=1 e=1', 'ok', 'CONFLICT'],
  },
  {
    name: 'pitfall 21: a scan that was abandoned counts to where it got, whatever was read ahead',
    before: LETTERS,
    run: async (begin, db) => {
      const [t1, t2] = [begin(), begin()]
      const scans = [await scanned(t1, {}, 3), await scanned(t2, {}, 3)]
      await db.delete('d')
      await t1.put('result', '1')
      const beyond = await commit(t1)
      await db.delete('a')
      await t2.put('result of t2', '1')
      return [...scans, beyond, await commit(t2)]
    },
    snapshot: ['a=1 b=1 c=1', 'a=1 b=1 c=1', 'ok', 'ok'],
    serializable: ['a=1 b=1 c=1', 'a=1 b=1 c=1', 'ok', 'CONFLICT'],
  },
  {
    name: 'pitfall 21: a scan that ran out counts to the end of its range, also past the last key',
    before: LETTERS,
    run: async (begin, db) => {
      const [t1, t2] = [begin(), begin()]
      const scans = [await scanned(t1, { gte: 'g', lt: 'm' }), await scanned(t2, { gte: 'g', lt: 'm' })]
      await db.put('m', '2')
      await t1.put('result', '1')
      const beyond = await commit(t1)
      await db.put('k', '2')
      await t2.put('result of t2', '1')
      return [...scans, beyond, await commit(t2)]
    },
    snapshot: ['g=1 h=1', 'g=1 h=1', 'ok', 'ok'],
    serializable: ['g=1 h=1', 'g=1 h=1', 'ok', 'CONFLICT'],
  },
  {
    name: 'pitfall 21: a key that a scan did not give because the transaction had deleted it counts all the same',
    before: LETTERS,
    run: async (begin, db) => {
      const tx = begin()
      await tx.delete('b')
      const scan = await scanned(tx, { lte: 'c' })
      await db.put('b', '2')
      return [scan, await commit(tx)]
    },
    snapshot: ['a=1 c=1', 'CONFLICT'],
    serializable: ['a=1 c=1', 'CONFLICT'],
  },
  {
    name: 'reads of own writes rest on nothing',
    run: async (begin, db) => {
      const tx = begin()
      await tx.put('w', '1')
      const own = await read(tx, 'w')
      await db.put('y', '21')
      return [own, await commit(tx)]
    },
    snapshot: ['1', 'ok'],
    serializable: ['1', 'ok'],
  },
]

/** No block and no index stays in memory. */
const COLD: OpenOptions = { ...QUIET, blockCacheSizeBytes: 0, metadataCacheSizeBytes: 0 }

const PLACES: Record<string, (options: OpenOptions, before: Readonly<Record<string, string>>) => Promise<Db>> = {
  memory: async (options, before) => {
    const db = await open({ store: new MemoryObjectStore() }, options)
    for (const [key, value] of Object.entries(before)) await db.put(key, value)
    return db
  },
  tables: async (options, before) => {
    const db = await open({ store: new MemoryObjectStore() }, options)
    for (const [key, value] of Object.entries(before)) {
      await db.put(key, 'old')
      await db.flush()
      await db.put(key, value)
    }
    await db.flush()
    return db
  },
  'cold tables': async (_options, before) => {
    const db = await open({ store: new MemoryObjectStore() }, COLD)
    for (const [key, value] of Object.entries(before)) await db.put(key, value)
    await db.compact()
    return db
  },
}

describe.each<IsolationLevel>(['snapshot', 'serializable'])('%s isolation', (isolation) => {
  describe.each(Object.keys(PLACES))('values in %s', (place) => {
    test.each(LITMUS)('$name', async (litmus) => {
      const db = await (PLACES[place] as (typeof PLACES)[string])(QUIET, litmus.before ?? { x: '10', y: '20' })
      const begun: Transaction[] = []
      const begin = (): Transaction => {
        const tx = db.transaction({ isolation })
        begun.push(tx)
        return tx
      }
      expect(await litmus.run(begin, db)).toEqual(litmus[isolation])
      const after = litmus.after?.[isolation === 'snapshot' ? 0 : 1]
      if (after !== undefined) expect(await contents(db)).toEqual(after)
      for (const tx of begun) await tx[Symbol.asyncDispose]()
      expect(db.stats()).toMatchObject({ transactions: { open: 0, windowBytes: 0 }, snapshots: 0 })
      await db.close()
    })

    test.each(LITMUS)('with a flush before every commit: $name', async (litmus) => {
      const db = await (PLACES[place] as (typeof PLACES)[string])(QUIET, litmus.before ?? { x: '10', y: '20' })
      const begin = (): Transaction => {
        const tx = db.transaction({ isolation })
        const commitNow = tx.commit.bind(tx)
        // What the transaction may conflict with has left memory when it is asked for.
        tx.commit = (options) => db.flush().then(() => commitNow(options))
        return tx
      }
      expect(await litmus.run(begin, db)).toEqual(litmus[isolation])
      await db.close()
    })
  })
})
