import { compareBytes, MoraineError } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import { BlobWindows } from '../blob/blob-windows.ts'
import { separatesAny, type SeparationSettings, ValueSeparator } from '../blob/value-separator.ts'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { MergingIterator } from '../iterator/merging-iterator.ts'
import { ALL_KEYS, intersectRanges } from '../key/key-range.ts'
import { RangeTombstones } from '../key/range-tombstones.ts'
import type { BlobSeed } from '../layout/object-names.ts'
import { endsBefore, type KeySpan, startsAfter, type TableFile } from '../manifest/table-file.ts'
import type { Memtable } from '../memtable/memtable.ts'
import { MergeOperators } from '../merge/merge-operators.ts'
import type { ApplicationCode, FlushJob, MergeJob } from './byte-work.ts'
import { RunIterator } from './run-iterator.ts'
import type { BuildRequest } from './build-request.ts'
import type { BuiltTable } from './built-table.ts'
import { buildTables } from './table-builder.ts'
import { type ReadAhead, tableIterator } from './table-iterator.ts'
import type { TableStore } from './table-store.ts'

/** Merges read everything once, in order: large windows from the start. */
export const MERGE_WINDOW_BYTES: number = 2 * 1024 * 1024

/** See `BuildRequest.pause`. */
export type Pause = () => Promise<void> | undefined

/** The tables of a memtable. */
export async function* buildFlush(
  memtable: Memtable,
  job: FlushJob,
  pause: Pause,
  code?: ApplicationCode,
): AsyncGenerator<BuiltTable, void> {
  const iterator = memtable.iterator()
  const separates = job.blobs !== undefined && separatesAny(job.blobs)
  try {
    yield* buildTables(iterator, {
      ...rulesOf(job, code),
      targetSizeBytes: Number.POSITIVE_INFINITY,
      tombstones: memtable.rangeTombstones,
      enveloped: memtable.envelopeCount > 0 || separates,
      separator: separates ? new ValueSeparator(job.blobs, [], NO_WINDOWS) : undefined,
      // Older versions may stand in any table.
      isBottommost: () => false,
      isRangeBottommost: () => false,
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
  code?: ApplicationCode,
  account?: RequestAccount,
): AsyncGenerator<BuiltTable, void> {
  const maxBytes = job.windowBytes ?? MERGE_WINDOW_BYTES
  const readAhead: ReadAhead = { initialBytes: Math.ceil(maxBytes / 2), maxBytes, keeps: false, reserved: true }
  const open = (file: TableFile): EntryIterator => tableIterator(tables, file, readAhead, account)
  const tombstones = await inputTombstones(job.runs.flat(), tables, account)
  // A table that range tombstones delete as a whole need not be read.
  const runs = tombstones === undefined ? job.runs : job.runs.map((files) => files.filter((file) => !isDeleted(file, tombstones, job.snapshots)))
  const blobs = job.blobs ?? STAY
  const enveloped = separatesAny(blobs) || job.runs.some((files) => files.some((file) => file.enveloped === true))
  const links = job.runs.flatMap((files) => files.flatMap((file) => file.blobs ?? []))
  const merged = new MergingIterator(runs.map((files) => new RunIterator(files, open)))
  try {
    yield* buildTables(merged, {
      ...rulesOf(job, code),
      targetSizeBytes: job.targetSizeBytes,
      tombstones,
      enveloped,
      separator: enveloped ? new ValueSeparator(blobs, links, new BlobWindows(tables.blobs, account)) : undefined,
      isBottommost: isOutside(job.deeper),
      isRangeBottommost: (start, end) => !meetsAny(job.deeper, start, end),
      filters: code?.filters,
      pause,
    })
  } finally {
    merged.close()
  }
}

/** A memtable holds whole values: nothing of a blob file is read for it. */
const NO_WINDOWS = new BlobWindows({
  read: () => Promise.reject(new MoraineError('INTERNAL', 'a memtable refers to a blob file')),
})

/** Large values stay where they are. */
const STAY: SeparationSettings = { thresholdBytes: 0, seed: '' as BlobSeed, relocate: [] }

function rulesOf(job: FlushJob, code: ApplicationCode | undefined): Pick<BuildRequest, 'writerOf' | 'snapshots' | 'ttlNowMs' | 'operators'> {
  const { writer, snapshots, ttlNowMs } = job
  const compressions = new Map(job.compressions)
  return {
    writerOf: (keyspace) => ({ ...writer, compression: compressions.get(keyspace) ?? writer.compression }),
    snapshots,
    ttlNowMs,
    operators: code?.operators ?? MergeOperators.builtIn(job.operators),
  }
}

/** The range tombstones of tables, each within the part of its table that counts. */
async function inputTombstones(files: readonly TableFile[], tables: TableStore, account: RequestAccount | undefined): Promise<RangeTombstones | undefined> {
  const holding = files.filter((file) => file.rangeTombstoneCount !== undefined)
  if (holding.length === 0) return undefined
  const all = new RangeTombstones()
  for (const file of holding) {
    const { rangeTombstones } = await tables.loadMetadata(tables.handle(file), account)
    for (const { start, end, seq } of rangeTombstones) {
      const { gte, lt } = intersectRanges({ gte: start, lt: end }, file.range ?? ALL_KEYS)
      all.add(gte as Uint8Array, lt as Uint8Array, seq)
    }
  }
  return all
}

/** Whether every entry of a table is older than a range tombstone that covers it, and in the same stripe. */
function isDeleted(file: TableFile, tombstones: RangeTombstones, snapshots: readonly number[]): boolean {
  const { smallestKey, largestKey, smallestSeq, largestSeq } = file
  const nextSnapshot = snapshots.find((snapshot) => snapshot >= smallestSeq) ?? Number.POSITIVE_INFINITY
  let fragment = tombstones.fragmentOf(smallestKey, 0, smallestKey.length)
  for (;;) {
    const seq = tombstones.newestSeq(fragment, nextSnapshot)
    if (seq <= largestSeq) return false
    const end = tombstones.endOf(fragment)
    if (end === undefined) return false
    if (endsBefore(file, end, 0, end.length) || compareBytes(largestKey, end) < 0) return true
    fragment++
  }
}

/** Whether a range has keys in common with one of the spans. */
function meetsAny(lists: readonly (readonly KeySpan[])[], start: Uint8Array, end: Uint8Array): boolean {
  return lists.some((spans) =>
    spans.some((span) => !endsBefore(span, start, 0, start.length) && compareBytes(span.smallestKey, end) < 0),
  )
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
