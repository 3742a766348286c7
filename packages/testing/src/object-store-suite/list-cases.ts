import assert from 'node:assert/strict'
import { compareKeys } from '@moraine/object-store'
import { type ConformanceCase, forEachParallel, listAll, listKeys, patternBytes } from './conformance-case.ts'

const MANY = 2_503

export const listCases: readonly ConformanceCase[] = [
  {
    name: 'nothing is listed where nothing is',
    async run(store, folder) {
      const page = await store.list(`${folder}nothing/`)
      assert.deepEqual(page.objects, [])
      assert.equal(page.nextToken, undefined)
      assert.ok(page.storeTimeMs > 0)
      await store.deleteMany([])
    },
  },
  {
    name: 'pitfall 12: paging gives each of 2,503 objects once, in order; deleteMany takes them all',
    async run(store, folder) {
      const keys = Array.from({ length: MANY }, (_, i) => `${folder}${i % 3}/${String(i * 7919).padStart(9, '0')}`).sort()
      await forEachParallel(keys, 48, (key) => store.put(key, patternBytes(key.length % 5)))
      const all = await listAll(store, folder)
      assert.deepEqual(store.traits.orderedList ? all.map(({ key }) => key) : all.map(({ key }) => key).sort(), keys)
      for (const { key, sizeBytes } of all) assert.equal(sizeBytes, key.length % 5)
      assert.deepEqual(await listKeys(store, folder, { maxKeys: 333 }), keys)
      const after = keys[1_700] as string
      assert.deepEqual(await listKeys(store, folder, { startAfter: after, maxKeys: 500 }), keys.slice(1_701))
      assert.deepEqual(await listKeys(store, `${folder}1/`), keys.filter((key) => key.startsWith(`${folder}1/`)))
      await store.deleteMany([...keys, `${folder}never-there`, keys[0] as string])
      assert.deepEqual(await listKeys(store, folder), [])
    },
  },
  {
    name: 'a prefix is text, not a folder; order is by UTF-8 bytes',
    async run(store, folder) {
      const names = ['a', 'a!', 'a.b', 'a/b', 'a0', 'ab/c/d', 'ab/c!', 'ab/c/', 'b', '\uffee', '😀', 'é', 'Z'].filter((name) => !name.endsWith('/'))
      // `a` and `a/b` cannot both be files of a folder.
      const keys = names.filter((name) => name !== 'a').map((name) => folder + name).sort(compareKeys)
      for (const key of keys) await store.put(key, patternBytes(1))
      const expected = (prefix: string): string[] => {
        const matching = keys.filter((key) => key.startsWith(folder + prefix))
        return store.traits.orderedList ? matching : matching.toSorted()
      }
      for (const prefix of ['', 'a', 'a/', 'a/b', 'a/bc', 'ab', 'ab/', 'ab/c', 'ab/c/', 'ab/c/d', 'b', 'c', 'a!', '😀', '\uffee']) {
        assert.deepEqual(await listKeys(store, folder + prefix), expected(prefix), prefix)
      }
      for (const key of [...keys, `${folder}a`, `${folder}aa`, `${folder}ab/`, `${folder}ab/c`, `${folder}zzz`, '!', '\u{10ffff}']) {
        const rest = expected('').filter((other) => compareKeys(other, key) > 0)
        assert.deepEqual(await listKeys(store, folder, { startAfter: key }), rest, `after ${key}`)
      }
    },
  },
  {
    name: 'maxKeys 1 walks the objects one by one and finds the first at once',
    async run(store, folder) {
      const keys = ['1', '2/x', '2/y', '3'].map((name) => folder + name)
      for (const key of keys) await store.put(key, patternBytes(2))
      assert.deepEqual(await listKeys(store, folder, { maxKeys: 1 }), keys)
      if (!store.traits.orderedList) return
      const page = await store.list(folder, { maxKeys: 1 })
      assert.deepEqual(page.objects.map(({ key }) => key), [keys[0]])
      assert.notEqual(page.nextToken, undefined)
    },
  },
  {
    name: 'a listing that is read while objects come and go gives every object that stayed',
    async run(store, folder) {
      const stable = Array.from({ length: 60 }, (_, i) => `${folder}s${String(i).padStart(3, '0')}`)
      for (const key of stable) await store.put(key, patternBytes(1))
      const seen: string[] = []
      let token: string | undefined
      for (let round = 0; ; round++) {
        const page = await store.list(folder, { maxKeys: 10, token })
        seen.push(...page.objects.map(({ key }) => key))
        token = page.nextToken
        if (token === undefined) break
        await store.put(`${folder}s${String(round * 9).padStart(3, '0')}-new`, patternBytes(1))
        await store.delete(`${folder}s${String((round - 1) * 9).padStart(3, '0')}-new`)
      }
      for (const key of stable) assert.equal(seen.filter((other) => other === key).length, 1, key)
    },
  },
]
