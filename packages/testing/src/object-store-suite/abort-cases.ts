import assert from 'node:assert/strict'
import { isMoraineError, MoraineError } from '@moraine/base'
import { type ConformanceCase, forEachParallel, listKeys, patternBytes, rejectsWith } from './conformance-case.ts'

export const abortCases: readonly ConformanceCase[] = [
  {
    name: 'a signal that has fired stops every call before anything happens',
    async run(store, folder) {
      const key = `${folder}kept`
      await store.put(key, patternBytes(4))
      const signal = AbortSignal.abort()
      await rejectsWith(store.get(key, { signal }), 'ABORTED')
      await rejectsWith(store.head(key, { signal }), 'ABORTED')
      await rejectsWith(store.list(folder, { signal }), 'ABORTED')
      await rejectsWith(store.put(`${folder}new`, patternBytes(1), { signal }), 'ABORTED')
      await rejectsWith(store.put(`${folder}new`, patternBytes(1), { signal, ifAbsent: true }), 'ABORTED')
      await rejectsWith(store.delete(key, { signal }), 'ABORTED')
      await rejectsWith(store.deleteMany([key], { signal }), 'ABORTED')
      assert.deepEqual(await listKeys(store, folder), [key])
    },
  },
  {
    name: 'a MoraineError given as the reason passes through',
    async run(store, folder) {
      const signal = AbortSignal.abort(new MoraineError('FENCED', 'somebody else owns it'))
      await rejectsWith(store.get(`${folder}x`, { signal }), 'FENCED')
    },
  },
  {
    name: 'a large put aborted on its way leaves all of the object or nothing',
    async run(store, folder) {
      const body = patternBytes(18 * 1024 * 1024)
      for (const turns of [1, 3, 10, 40]) {
        const key = `${folder}aborted-${turns}`
        const controller = new AbortController()
        const put = store.put(key, body, { signal: controller.signal })
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
        controller.abort()
        const outcome = await put.catch((error: unknown) => {
          assert.ok(isMoraineError(error, 'ABORTED'), String(error))
        })
        const read = await store.get(key)
        if (outcome === 'created') assert.ok(read !== undefined, 'an acknowledged object is missing')
        if (read !== undefined) assert.ok(Buffer.compare(read.bytes, body) === 0, 'part of an object was left')
      }
      assert.equal(await store.put(`${folder}after`, patternBytes(1)), 'created')
    },
  },
  {
    name: 'pitfall 24: after 1,000 aborted reads the store reads as before',
    async run(store, folder) {
      const key = `${folder}read`
      const body = patternBytes(300_000)
      await store.put(key, body)
      const rounds = Array.from({ length: 1_000 }, (_, i) => i)
      await forEachParallel(rounds, 100, async (round) => {
        const controller = new AbortController()
        const read = store.get(key, { signal: controller.signal })
        for (let turn = 0; turn < round % 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        controller.abort()
        await read.then(
          (found) => assert.equal(found?.objectSizeBytes, body.length),
          (error: unknown) => assert.ok(isMoraineError(error, 'ABORTED'), String(error)),
        )
      })
      await Promise.all(
        rounds.slice(0, 200).map(async () => assert.equal((await store.get(key))?.bytes.length, body.length)),
      )
    },
  },
]
