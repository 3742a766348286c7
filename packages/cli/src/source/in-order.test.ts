// Invariant: results come in the order of the items, with no more than the given number of calls under way.
import { expect, test } from 'vitest'
import { inOrder } from './in-order.ts'

test('results keep their order whatever finishes first', async () => {
  const items = Array.from({ length: 20 }, (_, i) => i)
  let running = 0
  let most = 0
  const results: number[] = []
  const apply = async (item: number): Promise<number> => {
    most = Math.max(most, ++running)
    for (let i = 0; i < 20 + ((item * 7) % 5); i++) await Promise.resolve()
    running--
    return item * 2
  }
  for await (const result of inOrder(items, 4, apply)) results.push(result)
  expect(results).toEqual(items.map((item) => item * 2))
  expect(most).toBe(4)
})

test('the first failure in order is thrown, and later ones are not left unhandled', async () => {
  const seen: number[] = []
  const run = async (): Promise<void> => {
    const fail = (item: number): Promise<number> => (item > 1 ? Promise.reject(new Error(`no ${item}`)) : Promise.resolve(item))
    for await (const result of inOrder([0, 1, 2, 3], 4, fail)) seen.push(result)
  }
  await expect(run()).rejects.toThrow('no 2')
  expect(seen).toEqual([0, 1])
})
