import assert from 'node:assert/strict'
import { type ConformanceCase, patternBytes, rejectsWith } from './conformance-case.ts'

export const readCases: readonly ConformanceCase[] = [
  {
    name: 'an absent object is undefined for get, ranged get and head',
    async run(store, folder) {
      const key = `${folder}absent`
      assert.equal(await store.get(key), undefined)
      assert.equal(await store.get(key, { range: { offset: 3, length: 4 } }), undefined)
      assert.equal(await store.get(key, { range: { offset: 3, length: 0 } }), undefined)
      assert.equal(await store.get(key, { range: { suffix: 5 } }), undefined)
      assert.equal(await store.head(key), undefined)
    },
  },
  {
    name: 'every range gives exactly its bytes and the size of the whole object',
    async run(store, folder) {
      const key = `${folder}ranges`
      const whole = patternBytes(100)
      await store.put(key, whole)
      assert.deepEqual(await store.get(key), { bytes: whole, objectSizeBytes: 100 })
      for (const offset of [0, 1, 50, 98, 99, 100, 101, 5000]) {
        for (const length of [0, 1, 2, 49, 50, 99, 100, 101, 5000]) {
          const body = await store.get(key, { range: { offset, length } })
          assert.deepEqual(body?.bytes, whole.slice(offset, offset + length), `offset ${offset}, length ${length}`)
          assert.equal(body.objectSizeBytes, 100)
        }
      }
      for (const suffix of [0, 1, 50, 99, 100, 101, 5000]) {
        const body = await store.get(key, { range: { suffix } })
        assert.deepEqual(body?.bytes, whole.slice(Math.max(0, 100 - suffix)), `suffix ${suffix}`)
        assert.equal(body.objectSizeBytes, 100)
      }
    },
  },
  {
    name: 'an empty object is there, and every range of it is empty',
    async run(store, folder) {
      const key = `${folder}empty`
      assert.equal(await store.put(key, new Uint8Array(0)), 'created')
      const ranges = [undefined, { offset: 0, length: 10 }, { offset: 5, length: 1 }, { offset: 0, length: 0 }, { suffix: 7 }, { suffix: 0 }]
      for (const range of ranges) {
        assert.deepEqual(await store.get(key, { range }), { bytes: new Uint8Array(0), objectSizeBytes: 0 }, JSON.stringify(range))
      }
      assert.equal((await store.head(key))?.sizeBytes, 0)
    },
  },
  {
    name: 'a range that is not whole bytes is INVALID',
    async run(store, folder) {
      const key = `${folder}r`
      for (const range of [{ offset: -1, length: 1 }, { offset: 0, length: 1.5 }, { offset: 0, length: -2 }, { suffix: -1 }, { suffix: Number.NaN }]) {
        await rejectsWith(store.get(key, { range }), 'INVALID')
      }
    },
  },
  {
    name: 'bytes that were read are an array of exactly their size that nothing else changes',
    async run(store, folder) {
      const key = `${folder}own`
      const written = patternBytes(64)
      await store.put(key, written)
      written.fill(0)
      const first = await store.get(key)
      assert.deepEqual(first?.bytes, patternBytes(64))
      assert.equal(first.bytes.buffer.byteLength, 64)
      first.bytes.fill(0)
      const second = await store.get(key, { range: { offset: 8, length: 8 } })
      assert.deepEqual(second?.bytes, patternBytes(64).slice(8, 16))
      assert.equal(second.bytes.buffer.byteLength, 8)
    },
  },
  {
    name: 'head tells size and a plausible time',
    async run(store, folder) {
      const key = `${folder}head`
      const before = (await store.list(folder)).storeTimeMs
      await store.put(key, patternBytes(12_345))
      const info = await store.head(key)
      const after = (await store.list(folder)).storeTimeMs
      assert.equal(info?.key, key)
      assert.equal(info.sizeBytes, 12_345)
      // S3 tells whole seconds, and a file system may stamp by a clock that ticks every few milliseconds.
      assert.ok(info.lastModifiedMs >= before - 2_000 && info.lastModifiedMs <= after + 2_000, `${before} ${info.lastModifiedMs} ${after}`)
    },
  },
]
