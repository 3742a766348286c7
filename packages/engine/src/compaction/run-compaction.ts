import type { SstWriterSettings } from '@moraine/sstable'
import { ALL_KEYS } from '../key/key-range.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { Version } from '../manifest/version.ts'
import type { ByteWork } from '../table/byte-work.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { CompactionPlan } from './compaction-plan.ts'
import { mergeJob } from './merge-job.ts'

export interface CompactionWork {
  readonly plan: CompactionPlan
  /** The version the plan was made for: tombstones are dropped only where nothing of it lies deeper. */
  readonly version: Version
  readonly snapshots: readonly number[]
  readonly writer: SstWriterSettings
  readonly targetFileSizeBytes: number
  readonly byteWork: ByteWork
  readonly tableWriter: TableWriter
  readonly signal: AbortSignal
}

/** Merges the inputs of a plan and uploads the result; memory is bounded by two outputs and the windows of the inputs. */
export async function runCompaction(work: CompactionWork): Promise<TableFile[]> {
  const { plan, version, snapshots, writer, tableWriter, signal } = work
  const job = mergeJob(plan, version, ALL_KEYS, { snapshots, writer, targetSizeBytes: work.targetFileSizeBytes })
  const outputs: TableFile[] = []
  if (job === undefined) return outputs
  try {
    for await (const table of work.byteWork.merge(job, signal)) {
      signal.throwIfAborted()
      outputs.push(await tableWriter.upload(table, signal))
    }
    return outputs
  } catch (error) {
    tableWriter.published(outputs)
    throw error
  }
}
