import { compareRanges } from '@moraine/base'
import { EntryKind, type SstSummary, SstWriter, type SstWriterSettings } from '@moraine/sstable'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { askFilter, type CompactionFilter, type CompactionVerdict } from './compaction-filter.ts'
import { Retention } from './retention.ts'

/** A finished table that is still in memory: its pieces in order, and what the writer knows of it. */
export interface BuiltTable {
  readonly parts: readonly Uint8Array[]
  readonly summary: SstSummary
  /** The first key that the table left to a later one: everything before it is done. Undefined: the source is at its end. */
  readonly nextKey: Uint8Array | undefined
}

export interface BuildRequest {
  readonly writer: SstWriterSettings
  /** Sequence numbers that must stay readable, ascending. */
  readonly snapshots: readonly number[]
  /** A table is closed at the first key after this many bytes; Infinity for one table. */
  readonly targetSizeBytes: number
  /** Whether no older version of a key can exist outside the source. Asked for tombstones and for a filter, with rising keys. */
  readonly isBottommost: (key: Uint8Array, keyStart: number, keyEnd: number) => boolean
  /** Looks at the newest version of every key that no snapshot can see. */
  readonly filter?: TableFilter | undefined
  /** Called every few hundred entries; a promise it returns is awaited, so that long builds let other work run. */
  readonly pause: () => Promise<void> | undefined
}

/** A filter, and the level that the tables are for. */
export interface TableFilter {
  readonly filter: CompactionFilter
  readonly outputLevel: number
}

const ENTRIES_BETWEEN_PAUSES = 256

/**
 * Writes the entries of `source`, from its first one on, into tables; drops the versions that nobody can see any more.
 * All versions of a key stay in one table. Gives each table when it is finished; nothing for an empty source.
 */
export async function* buildTables(source: EntryIterator, request: BuildRequest): AsyncGenerator<BuiltTable, void> {
  const retention = new Retention(request.snapshots)
  let parts: Uint8Array[] = []
  let writer: SstWriter | undefined
  let previousKey: Uint8Array | undefined
  let previousStart = 0
  let previousEnd = 0
  let untilPause = ENTRIES_BETWEEN_PAUSES

  const placed = source.seekToFirst()
  if (placed !== undefined) await placed
  while (source.valid) {
    const { keyBytes, keyStart, keyEnd, seq, kind } = source
    const isNewKey =
      previousKey === undefined ||
      compareRanges(keyBytes, keyStart, keyEnd, previousKey, previousStart, previousEnd) !== 0
    if (isNewKey) {
      retention.startKey()
      previousKey = keyBytes
      previousStart = keyStart
      previousEnd = keyEnd
      if (writer !== undefined && writer.estimatedSizeBytes >= request.targetSizeBytes) {
        const summary = writer.finish()
        writer = undefined
        const finished: BuiltTable = { parts, summary, nextKey: keyBytes.slice(keyStart, keyEnd) }
        parts = []
        yield finished
      }
    }
    const bottommost = kind === EntryKind.delete && request.isBottommost(keyBytes, keyStart, keyEnd)
    const kept = retention.keeps(seq, kind, bottommost)
    const filtered = kept && isNewKey ? applyFilter(source, request) : undefined
    if (kept && filtered !== 'drop') {
      if (writer === undefined) {
        const target = parts
        writer = new SstWriter(request.writer, (chunk) => target.push(chunk))
      }
      if (filtered === undefined || filtered === 'keep') {
        writer.add(keyBytes, keyStart, keyEnd, seq, kind, source.valueBytes, source.valueStart, source.valueEnd)
      } else if (filtered === 'remove') {
        // Simply dropping it would bring back the older versions that it hides.
        writer.add(keyBytes, keyStart, keyEnd, seq, EntryKind.delete, NO_BYTES, 0, 0)
      } else {
        writer.add(keyBytes, keyStart, keyEnd, seq, kind, filtered.replace, 0, filtered.replace.length)
      }
    }
    if (--untilPause <= 0) {
      untilPause = ENTRIES_BETWEEN_PAUSES
      const pause = request.pause()
      if (pause !== undefined) await pause
    }
    const moved = source.next()
    if (moved !== undefined) await moved
  }
  if (writer !== undefined) {
    const summary = writer.finish()
    yield { parts, summary, nextKey: undefined }
  }
}

/**
 * What the filter makes of the entry that `source` stands on; undefined when it is none of its business. `drop`: it is to go
 * without a trace, because nothing older is left that it hides.
 */
function applyFilter(source: EntryIterator, request: BuildRequest): CompactionVerdict | 'drop' | undefined {
  const { filter: applied, snapshots } = request
  if (applied === undefined || source.kind !== EntryKind.put || source.seq <= (snapshots.at(-1) ?? -1)) return undefined
  const { keyBytes, keyStart, keyEnd } = source
  const bottommost = request.isBottommost(keyBytes, keyStart, keyEnd)
  const { filter, outputLevel } = applied
  const value = new Uint8Array(source.valueBytes.subarray(source.valueStart, source.valueEnd))
  const verdict = askFilter(filter, new Uint8Array(keyBytes.subarray(keyStart, keyEnd)), value, { outputLevel, bottommost })
  // A snapshot may keep an older version of the key in this very merge.
  return verdict === 'remove' && bottommost && snapshots.length === 0 ? 'drop' : verdict
}

const NO_BYTES = new Uint8Array(0)
