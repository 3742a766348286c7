import type { SstWriterSettings } from '@moraine/sstable'
import type { EntryIterator } from '../iterator/entry-iterator.ts'
import { MergingIterator } from '../iterator/merging-iterator.ts'
import { endsBefore, startsAfter, type TableFile } from '../manifest/table-file.ts'
import type { Version } from '../manifest/version.ts'
import { RunIterator } from '../table/run-iterator.ts'
import { buildTables } from '../table/table-builder.ts'
import { type ReadAhead, tableIterator } from '../table/table-iterator.ts'
import type { TableStore } from '../table/table-store.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { CompactionPlan } from './compaction-plan.ts'

/** Compactions read everything once, in order: large windows from the start. */
const COMPACTION_READ_AHEAD: ReadAhead = { initialBytes: 1024 * 1024, maxBytes: 2 * 1024 * 1024 }

export interface CompactionWork {
  readonly plan: CompactionPlan
  /** The version the plan was made for: tombstones are dropped only where nothing of it lies deeper. */
  readonly version: Version
  readonly snapshots: readonly number[]
  readonly writer: SstWriterSettings
  readonly targetFileSizeBytes: number
  readonly tables: TableStore
  readonly tableWriter: TableWriter
  readonly pause: () => Promise<void> | undefined
  readonly signal: AbortSignal
}

/** Merges the inputs of a plan and uploads the result; memory is bounded by one output and a window per input run. */
export async function runCompaction(work: CompactionWork): Promise<TableFile[]> {
  const { plan, tables, tableWriter, signal } = work
  const open = (file: TableFile): EntryIterator => tableIterator(tables, file, COMPACTION_READ_AHEAD)
  const sources: EntryIterator[] = plan.inputs.flatMap(({ level, files }) =>
    level === 0 ? files.map(open) : [new RunIterator(files, open)],
  )
  const merged = new MergingIterator(sources)
  const outputs: TableFile[] = []
  try {
    const built = buildTables(merged, {
      writer: work.writer,
      snapshots: work.snapshots,
      targetSizeBytes: work.targetFileSizeBytes,
      isBottommost: bottommostBelow(work.version, plan.outputLevel),
      pause: work.pause,
    })
    for await (const table of built) {
      signal.throwIfAborted()
      outputs.push(await tableWriter.upload(table, signal))
    }
    return outputs
  } catch (error) {
    tableWriter.published(outputs)
    throw error
  } finally {
    merged.close()
  }
}

/**
 * Whether a key lies in no table deeper than `level`. Asked with rising keys, so one cursor per level suffices.
 */
function bottommostBelow(version: Version, level: number): (key: Uint8Array, keyStart: number, keyEnd: number) => boolean {
  const deeper = version.levels.slice(level + 1).filter((files) => files.length > 0)
  const cursors = deeper.map(() => 0)
  return (key, keyStart, keyEnd) => {
    for (const [i, files] of deeper.entries()) {
      let at = cursors[i] as number
      while (at < files.length) {
        if (!endsBefore(files[at] as TableFile, key, keyStart, keyEnd)) break
        at++
      }
      cursors[i] = at
      const file = files[at]
      if (file === undefined) continue
      if (!startsAfter(file, key, keyStart, keyEnd)) return false
    }
    return true
  }
}
