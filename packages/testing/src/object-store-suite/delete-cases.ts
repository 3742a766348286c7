import assert from 'node:assert/strict'
import { type ConformanceCase, forEachParallel, listKeys, patternBytes } from './conformance-case.ts'

export const deleteCases: readonly ConformanceCase[] = [
  {
    name: 'a deleted object is gone; deleting it again is no error',
    async run(store, folder) {
      const key = `${folder}x/y/z`
      await store.put(key, patternBytes(5))
      await store.delete(key)
      assert.equal(await store.get(key), undefined)
      assert.equal(await store.head(key), undefined)
      await store.delete(key)
      await store.delete(`${folder}never/was/there`)
      assert.deepEqual(await listKeys(store, folder), [])
    },
  },
  {
    name: 'deleting one object leaves its neighbours alone',
    async run(store, folder) {
      const keys = ['n/a', 'n/ab', 'n/b/c', 'n/b/d'].map((name) => folder + name)
      for (const key of keys) await store.put(key, patternBytes(1))
      await store.delete(`${folder}n/a`)
      await store.delete(`${folder}n/b`)
      await store.deleteMany([`${folder}n/b/c`])
      assert.deepEqual(await listKeys(store, folder), [`${folder}n/ab`, `${folder}n/b/d`])
    },
  },
  {
    name: 'objects can be created in a place that is being emptied',
    async run(store, folder) {
      const rounds = Array.from({ length: 120 }, (_, i) => i)
      await forEachParallel(rounds, 12, async (round) => {
        const key = `${folder}churn/${round % 3}/deep/${round}`
        assert.equal(await store.put(key, patternBytes(round), { ifAbsent: round % 2 === 0 }), 'created')
        assert.equal((await store.get(key))?.objectSizeBytes, round)
        await (round % 5 === 0 ? store.deleteMany([key]) : store.delete(key))
      })
      assert.deepEqual(await listKeys(store, folder), [])
      // What was a place of objects may become an object.
      assert.equal(await store.put(`${folder}churn`, patternBytes(1), { ifAbsent: true }), 'created')
    },
  },
]
