import { compareRanges } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { ENVELOPED, isBlobReference, payloadStart } from '../batch/envelope.ts'
import { readReference } from '../blob/blob-reference.ts'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import type { BuildRequest } from './build-request.ts'
import type { BuiltTable } from './built-table.ts'
import { TableAssembler } from './table-assembler.ts'
import { VersionReducer } from './version-reducer.ts'

const ENTRIES_BETWEEN_PAUSES = 256

/**
 * Writes the entries of `source`, from its first one on, into tables; drops the versions that nobody can see any more.
 * All versions of a key stay in one table, and a table holds keys of one keyspace. Gives each table when it is finished;
 * nothing when nothing is left.
 */
export async function* buildTables(source: EntryIterator, request: BuildRequest): AsyncGenerator<BuiltTable, void> {
  const { separator } = request
  const assembler = new TableAssembler(request)
  const reducer = new VersionReducer(request, assembler)
  let previousKey: Uint8Array | undefined
  let previousStart = 0
  let previousEnd = 0
  let untilPause = ENTRIES_BETWEEN_PAUSES

  const placed = source.seekToFirst()
  if (placed !== undefined) await placed
  while (source.valid) {
    const { keyBytes, keyStart, keyEnd } = source
    const isNewKey =
      previousKey === undefined ||
      compareRanges(keyBytes, keyStart, keyEnd, previousKey, previousStart, previousEnd) !== 0
    if (isNewKey) {
      if (previousKey !== undefined) reducer.endKey()
      previousKey = keyBytes
      previousStart = keyStart
      previousEnd = keyEnd
      assembler.startKey(keyBytes, keyStart, keyEnd)
      reducer.startKey(keyBytes, keyStart, keyEnd)
      if (assembler.finished.length > 0) yield* assembler.finished.splice(0)
    }
    if (separator !== undefined && isSeparated(source)) {
      const { valueBytes, valueStart, valueEnd } = source
      const reference = readReference(valueBytes, payloadStart(valueBytes, valueStart, valueEnd), valueEnd)
      const wait = separator.prepare(reference, reducer.awaitsValue || assembler.mayFilter(source.seq))
      if (wait !== undefined) await wait
    }
    reducer.version(source.seq, source.kind, source.valueBytes, source.valueStart, source.valueEnd)
    if (--untilPause <= 0) {
      untilPause = ENTRIES_BETWEEN_PAUSES
      const pause = request.pause()
      if (pause !== undefined) await pause
    }
    const moved = source.next()
    if (moved !== undefined) await moved
  }
  if (previousKey !== undefined) reducer.endKey()
  assembler.end()
  yield* assembler.finished.splice(0)
}

/** Whether the entry's value lies in a blob file. */
function isSeparated({ kind, valueBytes, valueStart, valueEnd }: EntryIterator): boolean {
  return kind === (EntryKind.put | ENVELOPED) && isBlobReference(valueBytes, valueStart, valueEnd)
}
