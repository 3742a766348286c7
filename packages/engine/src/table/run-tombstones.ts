import type { TombstonePart, TombstoneSource } from '../iterator/range-hiding-iterator.ts'
import { ALL_KEYS, intersectRanges, keyAfter } from '../key/key-range.ts'
import type { RangeTombstones } from '../key/range-tombstones.ts'
import { endsBefore, startsAfter, type TableFile } from '../manifest/table-file.ts'
import { findInRun } from '../manifest/version.ts'
import type { TableStore } from './table-store.ts'

/** The range tombstones of a memtable. */
export function memtableTombstones(tombstones: RangeTombstones): TombstoneSource {
  const part: TombstonePart = { tombstones, range: ALL_KEYS }
  return { partOf: () => part }
}

/**
 * The range tombstones of a sorted run, or of one table: of the table whose span holds the key, which is opened when it has
 * any. Undefined when no table of the run has.
 */
export function runTombstones(files: readonly TableFile[], tables: TableStore): TombstoneSource | undefined {
  const holding = files.filter((file) => file.rangeTombstoneCount !== undefined)
  if (holding.length === 0) return undefined
  return {
    partOf(key, keyStart, keyEnd) {
      const file = holding[findInRun(holding, key, keyStart, keyEnd)]
      if (file === undefined || startsAfter(file, key, keyStart, keyEnd)) return undefined
      const handle = tables.handle(file)
      // What lies past the table's last key is another table's to say. The key itself is always in the range: whoever asks for
      // it again must not have to load anything again, or two sources that push each other out of memory wait for ever.
      const { smallestKey: gte, largestKey } = file
      const lt = endsBefore(file, largestKey, 0, largestKey.length) ? largestKey : keyAfter(largestKey)
      const range = intersectRanges(file.range ?? ALL_KEYS, { gte, lt })
      const { metadata } = handle
      if (metadata !== undefined) return { tombstones: tables.rangeTombstones(handle, metadata), range }
      return tables.loadMetadata(handle).then((loaded) => ({ tombstones: tables.rangeTombstones(handle, loaded), range }))
    },
  }
}
