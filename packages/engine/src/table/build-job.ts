import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { MergingIterator } from '../iterator/merging-iterator.ts'
import { endsBefore, type KeySpan, startsAfter, type TableFile } from '../manifest/table-file.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { FlushJob, MergeJob } from './byte-work.ts'
import { RunIterator } from './run-iterator.ts'
import { type BuiltTable, buildTables, type TableFilter } from './table-builder.ts'
import { type ReadAhead, tableIterator } from './table-iterator.ts'
import type { TableStore } from './table-store.ts'

/** Merges read everything once, in order: large windows from the start. */
const MERGE_READ_AHEAD: ReadAhead = { initialBytes: 1024 * 1024, maxBytes: 2 * 1024 * 1024 }

/** See `BuildRequest.pause`. */
export type Pause = () => Promise<void> | undefined

/** The table of a memtable. */
export async function* buildFlush(memtable: Memtable, job: FlushJob, pause: Pause): AsyncGenerator<BuiltTable, void> {
  const iterator = memtable.iterator()
  try {
    yield* buildTables(iterator, {
      ...job,
      targetSizeBytes: Number.POSITIVE_INFINITY,
      // Older versions may stand in any table.
      isBottommost: () => false,
      pause,
    })
  } finally {
    iterator.close()
  }
}

/** The tables of a merge; memory is bounded by one of them and two windows for each run. */
export async function* buildMerge(
  job: MergeJob,
  tables: TableStore,
  pause: Pause,
  filter?: TableFilter,
): AsyncGenerator<BuiltTable, void> {
  const open = (file: TableFile): EntryIterator => tableIterator(tables, file, MERGE_READ_AHEAD)
  const merged = new MergingIterator(job.runs.map((files) => new RunIterator(files, open)))
  try {
    yield* buildTables(merged, { ...job, isBottommost: isOutside(job.deeper), pause, filter })
  } finally {
    merged.close()
  }
}

/** Whether a key lies in none of the spans. Asked with rising keys, so one cursor for each list suffices. */
function isOutside(
  lists: readonly (readonly KeySpan[])[],
): (key: Uint8Array, keyStart: number, keyEnd: number) => boolean {
  const cursors = lists.map(() => 0)
  return (key, keyStart, keyEnd) => {
    for (const [i, spans] of lists.entries()) {
      let at = cursors[i] as number
      while (at < spans.length && endsBefore(spans[at] as KeySpan, key, keyStart, keyEnd)) at++
      cursors[i] = at
      const span = spans[at]
      if (span !== undefined && !startsAfter(span, key, keyStart, keyEnd)) return false
    }
    return true
  }
}
