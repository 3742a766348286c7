import assert from 'node:assert/strict'
import { concatBytes, utf8Encode } from '@moraine/base'
import { type ConformanceCase, forEachParallel, listKeys, patternBytes, rejectsWith } from './conformance-case.ts'

const MEBIBYTE = 1024 * 1024

export const writeCases: readonly ConformanceCase[] = [
  {
    name: 'a put replaces, by a shorter and by a longer body',
    async run(store, folder) {
      const key = `${folder}replaced`
      for (const size of [1000, 10, 5000, 0, 1]) {
        assert.equal(await store.put(key, patternBytes(size, size)), 'created')
        assert.deepEqual(await store.get(key), { bytes: patternBytes(size, size), objectSizeBytes: size })
      }
      assert.deepEqual(await listKeys(store, folder), [key])
    },
  },
  {
    name: 'ifAbsent creates once and never changes what is there',
    async run(store, folder) {
      const key = `${folder}deep/er/once`
      assert.equal(await store.put(key, utf8Encode('first'), { ifAbsent: true }), 'created')
      assert.equal(await store.put(key, utf8Encode('second'), { ifAbsent: true }), 'exists')
      assert.deepEqual((await store.get(key))?.bytes, utf8Encode('first'))
      await store.delete(key)
      assert.equal(await store.put(key, utf8Encode('third'), { ifAbsent: true }), 'created')
      assert.deepEqual((await store.get(key))?.bytes, utf8Encode('third'))
    },
  },
  {
    name: 'pitfall 9: of 50 concurrent creates exactly one wins, in every round',
    async run(store, folder) {
      for (let round = 0; round < 8; round++) {
        const key = `${folder}race/${round}/object`
        const outcomes = await Promise.all(
          Array.from({ length: 50 }, (_, racer) => store.put(key, utf8Encode(`racer ${racer}`), { ifAbsent: true })),
        )
        const winners = outcomes.flatMap((outcome, racer) => (outcome === 'created' ? [racer] : []))
        assert.equal(winners.length, 1, `round ${round}: racers ${winners.join(', ')} all won`)
        assert.deepEqual((await store.get(key))?.bytes, utf8Encode(`racer ${winners[0]}`))
      }
    },
  },
  {
    name: 'pieces are written in order as one body',
    async run(store, folder) {
      const pieces = [0, 1, 4096, 0, 70_000, 3].map((size, seed) => patternBytes(size, seed))
      await store.put(`${folder}pieces`, pieces)
      assert.deepEqual((await store.get(`${folder}pieces`))?.bytes, concatBytes(pieces))
      await store.put(`${folder}none`, [])
      assert.equal((await store.get(`${folder}none`))?.objectSizeBytes, 0)
      const many = Array.from({ length: 3_000 }, (_, i) => patternBytes(i % 7, i))
      assert.equal(await store.put(`${folder}many`, many, { ifAbsent: true }), 'created')
      assert.deepEqual((await store.get(`${folder}many`))?.bytes, concatBytes(many))
    },
  },
  {
    name: 'a large body arrives whole, as one array and in pieces',
    async run(store, folder) {
      const large = patternBytes(20 * MEBIBYTE + 12_345)
      const pieces: Uint8Array[] = []
      for (let at = 0; at < large.length; at += 3 * MEBIBYTE + 1) pieces.push(large.subarray(at, at + 3 * MEBIBYTE + 1))
      for (const body of [large, pieces]) {
        await store.put(`${folder}large`, body)
        const read = await store.get(`${folder}large`)
        assert.ok(read !== undefined && Buffer.compare(read.bytes, large) === 0, 'the bytes differ')
        const part = await store.get(`${folder}large`, { range: { offset: 8 * MEBIBYTE - 5, length: 10 } })
        assert.deepEqual(part, {
          bytes: large.slice(8 * MEBIBYTE - 5, 8 * MEBIBYTE + 5),
          objectSizeBytes: large.length,
        })
        await store.delete(`${folder}large`)
      }
    },
  },
  {
    name: 'odd keys keep their spelling',
    async run(store, folder) {
      const names = [
        'a b', ' lead', 'plus+plus', 'per%cent', '%2F', '%', 'a&b=c?d#e', "quote'\"`", 'semi;colon:@,$!*()', '<xml>&amp;',
        'ключ', '鍵', '🔑', 'é', 'e\u0301', '.hidden', '...', 'a..b', '~tilde', '[x]{y}|z^', '=', 'x'.repeat(200),
      ]
      const keys = names.map((name) => `${folder}odd/${name}`)
      for (const [index, key] of keys.entries()) {
        assert.equal(await store.put(key, utf8Encode(`body ${index}`), { ifAbsent: true }), 'created', key)
      }
      for (const [index, key] of keys.entries()) {
        assert.deepEqual((await store.get(key))?.bytes, utf8Encode(`body ${index}`), key)
        assert.equal((await store.head(key))?.key, key)
      }
      assert.deepEqual((await listKeys(store, `${folder}odd/`)).toSorted(), keys.toSorted())
      assert.deepEqual(await listKeys(store, `${folder}odd/per%`), [`${folder}odd/per%cent`])
      await store.deleteMany(keys.slice(0, 11))
      for (const key of keys.slice(11)) await store.delete(key)
      assert.deepEqual(await listKeys(store, folder), [])
    },
  },
  {
    name: 'a key of 1000 bytes works',
    async run(store, folder) {
      const segments = `${'s'.repeat(150)}/`.repeat(6)
      const key = folder + segments + 'e'.repeat(1000 - folder.length - segments.length)
      await store.put(key, patternBytes(3))
      assert.deepEqual(await listKeys(store, folder), [key])
      await store.delete(key)
      assert.equal(await store.get(key), undefined)
    },
  },
  {
    name: 'a bad key, a bad prefix and a bad body are INVALID in every call',
    async run(store, folder) {
      for (const key of ['', '/a', 'a/', `${folder}../x`, `${folder}./x`, `${folder}a//b`, `${folder}a\0b`, 'x'.repeat(1025), '\ud800']) {
        await rejectsWith(store.get(key), 'INVALID')
        await rejectsWith(store.head(key), 'INVALID')
        await rejectsWith(store.put(key, patternBytes(1)), 'INVALID')
        await rejectsWith(store.delete(key), 'INVALID')
        await rejectsWith(store.deleteMany([`${folder}fine`, key]), 'INVALID')
      }
      await rejectsWith(store.list(`${folder}../`), 'INVALID')
      await rejectsWith(store.list(folder, { maxKeys: 0 }), 'INVALID')
      await rejectsWith(store.list(folder, { maxKeys: 1001 }), 'INVALID')
      await rejectsWith(store.put(`${folder}fine`, 'text' as never), 'INVALID')
      await rejectsWith(store.put(`${folder}fine`, [1, 2] as never), 'INVALID')
      assert.deepEqual(await listKeys(store, folder), [])
    },
  },
  {
    name: 'readers of an object that is being replaced see an old body or a new one, never a mixture',
    async run(store, folder) {
      const key = `${folder}flip`
      const bodies = [new Uint8Array(200_000).fill(1), new Uint8Array(100_000).fill(2)]
      await store.put(key, bodies[0] as Uint8Array)
      const rounds = Array.from({ length: 40 }, (_, i) => i)
      await Promise.all([
        forEachParallel(rounds, 2, (round) => store.put(key, bodies[round % 2] as Uint8Array)),
        forEachParallel(rounds, 4, async () => {
          const read = await store.get(key)
          assert.ok(read !== undefined, 'the object was away for a moment')
          assert.ok(bodies.some((body) => Buffer.compare(body, read.bytes) === 0), 'a mixture was read')
        }),
      ])
    },
  },
  {
    name: 'many calls at once all succeed',
    async run(store, folder) {
      const numbers = Array.from({ length: 300 }, (_, i) => i)
      await Promise.all(numbers.map((n) => store.put(`${folder}c/${n % 10}/${n}`, patternBytes(n * 10, n))))
      await Promise.all(
        numbers.map(async (n) => assert.deepEqual((await store.get(`${folder}c/${n % 10}/${n}`))?.bytes, patternBytes(n * 10, n))),
      )
      assert.equal((await listKeys(store, folder)).length, 300)
    },
  },
]
