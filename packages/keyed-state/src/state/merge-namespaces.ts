import type { Namespace } from '../codec/namespace-codec.ts'
import type { ValueCells } from './value-cells.ts'

/**
 * Merges values of one key across namespaces. Loads first and changes last, so that all of it happens in one step: nobody
 * sees a value in two places or in none, and a function that throws leaves everything as it was.
 */
export async function mergeValues<Key, T>(
  cells: ValueCells<Key, T>,
  key: Key,
  target: Namespace,
  sources: readonly Namespace[],
  merge: (a: T, b: T) => T,
): Promise<void> {
  const { calls, host } = cells
  const spaces = [target, ...sources.filter((source) => source !== target)]
  await host.gate.entered()
  host.gate.begin()
  try {
    for (;;) {
      const located = [...new Set(spaces.map((space) => cells.locate(key, space)))]
      const waiting = located.find((cell) => !cell.ready)
      if (waiting === undefined) {
        const values = located.flatMap((cell): T[] => {
          const value = calls.read(cell)
          return value === undefined ? [] : [value]
        })
        const [first, ...rest] = values
        if (first === undefined) return
        // Before `merge` runs: it may change the object that it is given.
        for (const cell of located) host.cache.beforeChange(cell)
        const merged = rest.reduce((a, b) => merge(a, b), first)
        const [into, ...gone] = located
        if (into !== undefined) calls.set(into, merged)
        for (const cell of gone) calls.clear(cell)
        return
      }
      await calls.whenFree(waiting)
    }
  } finally {
    host.gate.end()
  }
}
