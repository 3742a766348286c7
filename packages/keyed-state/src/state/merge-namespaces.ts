import type { Namespace } from '../codec/namespace-codec.ts'
import type { ValueCells } from './value-cells.ts'

/**
 * Merges values of one key across namespaces, in one step: nobody sees a value in two places or in none, and when `merge` or
 * the codec throws, everything is as it was.
 */
export function mergeValues<Key, T>(
  cells: ValueCells<Key, T>,
  key: Key,
  target: Namespace,
  sources: readonly Namespace[],
  merge: (a: T, b: T) => T,
): Promise<void> {
  const { calls, host } = cells
  return calls.whenAllReady(
    () => [...new Set([target, ...sources].map((space) => cells.locate(key, space)))],
    (located) => {
      const values = located.flatMap((cell): T[] => {
        const value = calls.read(cell)
        return value === undefined ? [] : [value]
      })
      const [first, ...rest] = values
      const [into, ...gone] = located
      if (first === undefined || into === undefined) return
      // Before `merge` runs: it may change the object that it is given.
      for (const cell of located) host.cache.beforeChange(cell)
      calls.set(into, rest.length === 0 ? first : rest.reduce((a, b) => merge(a, b), first))
      for (const cell of gone) calls.clear(cell)
    },
  )
}
