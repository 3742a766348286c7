import assert from 'node:assert/strict'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import { systemClock, systemRandom, utf8Encode } from '@moraine/base'
import { abortCases } from './abort-cases.ts'
import type { ConformanceCase } from './conformance-case.ts'
import { deleteCases } from './delete-cases.ts'
import { listCases } from './list-cases.ts'
import { readCases } from './read-cases.ts'
import { writeCases } from './write-cases.ts'

export interface ConformanceTarget {
  /** Registers one test: vitest's `test`, `node:test`, or anything of that shape. */
  readonly test: (name: string, body: () => Promise<void>) => void
  /** The store to prove, called once per test. It may be one store for all: each test keeps to a folder of its own. */
  readonly store: () => ObjectStore | Promise<ObjectStore>
  /** Put before every key, such as a unique prefix in a shared bucket; without a slash at its ends. */
  readonly folder?: string | undefined
}

const createExactlyCases: readonly ConformanceCase[] = [
  {
    name: 'createExactly tells the one creator from the others, also when it is repeated',
    async run(store, folder) {
      const key = `${folder}exact`
      const options = { clock: systemClock, random: systemRandom }
      const racers = Array.from({ length: 20 }, (_, i) => utf8Encode(`token ${i}`))
      const outcomes = await Promise.all(racers.map((bytes) => createExactly(store, key, bytes, options)))
      assert.equal(outcomes.filter((outcome) => outcome === 'created').length, 1)
      const winner = outcomes.indexOf('created')
      assert.deepEqual((await store.get(key))?.bytes, racers[winner])
      assert.equal(await createExactly(store, key, racers[winner] as Uint8Array, options), 'created')
      assert.equal(await createExactly(store, key, utf8Encode('late'), options), 'exists')
    },
  },
]

/**
 * Registers the tests that every implementation of `ObjectStore` passes. They need nothing from the test runner but a
 * way to register a name and a function.
 */
export function objectStoreConformance(target: ConformanceTarget): void {
  const cases = [...readCases, ...writeCases, ...createExactlyCases, ...listCases, ...deleteCases, ...abortCases]
  for (const [index, { name, run }] of cases.entries()) {
    const folder = `${target.folder === undefined ? '' : `${target.folder}/`}case-${index}/`
    target.test(name, async () => run(await target.store(), folder))
  }
}
