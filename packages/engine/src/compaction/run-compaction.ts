import { type MemoryAccount, MoraineError, SerialQueue } from '@moraine/base'
import type { RequestAccount } from '@moraine/object-store'
import type { KeyRange } from '../key/key-range.ts'
import type { FileId } from '../layout/object-names.ts'
import type { TableFile } from '../manifest/table-file.ts'
import type { Version } from '../manifest/version.ts'
import { MERGE_WINDOW_BYTES } from '../table/build-job.ts'
import type { ApplicationCode, ByteWork, FlushJob } from '../table/byte-work.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { CompactionPlan } from './compaction-plan.ts'
import { relocating } from './blob-garbage.ts'
import { mergeJob } from './merge-job.ts'
import { splitMerge } from './split-merge.ts'

/** So many finished tables are published at once: that is what a crash can cost, for two requests a time. */
const OUTPUTS_PER_STEP = 4

/** A range of its own is worth this many output tables. */
const OUTPUTS_PER_RANGE = 4

/** More ranges than are merged at a time, so that steps come in order and nobody waits long for the slowest. */
const RANGES_PER_MERGE = 4

export interface CompactionWork {
  readonly plan: CompactionPlan
  /** The version the plan was made for: tombstones are dropped only where nothing of it lies deeper. */
  readonly version: Version
  /** What each merge goes by. */
  readonly rules: () => FlushJob
  /** Values in these blob files are written anew. */
  readonly relocate?: readonly FileId[] | undefined
  readonly targetFileSizeBytes: number
  readonly code?: ApplicationCode | undefined
  readonly byteWork: ByteWork
  readonly tableWriter: TableWriter
  /** Where a merge reserves its memory before it begins; undefined: nowhere. */
  readonly memory?: MemoryAccount | undefined
  /**
   * Commits a step: `outputs` hold what the inputs hold before the key `mergedTo` and no earlier step has published;
   * undefined: everything. Called one at a time.
   */
  readonly publish: (outputs: readonly TableFile[], mergedTo: Uint8Array | undefined) => Promise<void>
  /** Charged for what is read and uploaded. */
  readonly account?: RequestAccount | undefined
  readonly signal: AbortSignal
}

/** A range of keys that is merged by one job, and what has come of it. */
interface Part {
  readonly range: KeyRange
  /** Uploaded and not yet published, in key order. */
  readonly outputs: TableFile[]
  /** Everything before this key is in the outputs. */
  mergedTo: Uint8Array | undefined
  done: boolean
}

/**
 * Merges the inputs of a plan and publishes the result in steps. Memory is bounded, whatever the size of the inputs, by two
 * outputs and the windows of the inputs for each merge that runs at a time.
 *
 * The keys are split into ranges; merges of several of them run side by side and upload their tables. Order, and the
 * reason for each step:
 *
 *   1. Tables are uploaded before anything names them.
 *   2. What is published always covers the keys from the first one on without a gap: finished ranges, and the beginning of
 *      the first one that is not finished. So an input is replaced by one part of itself, never by several: a level does
 *      not fill up with parts, and of level 0 all inputs are cut at the same key.
 *   3. One edit adds the tables and cuts the inputs. After a crash the next compaction finds inputs that begin where the
 *      last step ended; only what came after that is merged again.
 */
export async function runCompaction(work: CompactionWork): Promise<void> {
  const { plan, byteWork, tableWriter, targetFileSizeBytes } = work
  const files = plan.inputs.flatMap((input) => [...input.files])
  const most = byteWork.parallelMerges === 1 ? 1 : byteWork.parallelMerges * RANGES_PER_MERGE
  const ranges = splitMerge(files, most, targetFileSizeBytes * OUTPUTS_PER_RANGE)
  const parts: Part[] = ranges.map((range) => ({ range, outputs: [], mergedTo: range.gte, done: false }))
  const stop = new AbortController()
  const run = new PartMerger({ ...work, signal: AbortSignal.any([work.signal, stop.signal]) }, parts)
  const queue = [...parts]
  const lane = async (): Promise<void> => {
    try {
      for (let part = queue.shift(); part !== undefined; part = queue.shift()) await run.merge(part)
    } catch (error) {
      stop.abort(new MoraineError('ABORTED', 'another part of the compaction failed', { cause: error }))
      throw error
    }
  }
  const lanes = Array.from({ length: Math.min(byteWork.parallelMerges, parts.length) }, lane)
  const outcomes = await Promise.allSettled(lanes)
  // Whatever was not published is garbage by now.
  tableWriter.published(parts.flatMap(({ outputs }) => outputs))
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
  if (failures.length > 0) throw failures.find((reason) => !isFollowUp(reason, stop.signal)) ?? failures[0]
}

/** The failure of a part only because another one had failed. */
function isFollowUp(error: unknown, stop: AbortSignal): boolean {
  return error === stop.reason
}

class PartMerger {
  readonly #work: CompactionWork
  readonly #parts: readonly Part[]
  readonly #steps = new SerialQueue()
  #ended = false

  constructor(work: CompactionWork, parts: readonly Part[]) {
    this.#work = work
    this.#parts = parts
  }

  async merge(part: Part): Promise<void> {
    const { plan, version, rules, relocate, targetFileSizeBytes, code, byteWork, tableWriter, account, signal } = this.#work
    const replaced = plan.inputs.flatMap((input) => [...input.files])
    const settings = { ...relocating(rules(), relocate), targetSizeBytes: targetFileSizeBytes }
    const job = mergeJob(plan, version, part.range, settings)
    if (job !== undefined) {
      const runs = job.runs.length
      const room = await this.#work.memory?.reserveMerge({ outputBytes: targetFileSizeBytes, runs, mostWindowBytes: MERGE_WINDOW_BYTES }, signal)
      const sized = room === undefined ? job : { ...job, windowBytes: room.windowBytes }
      try {
        for await (const table of byteWork.merge(sized, signal, code, account)) {
          part.outputs.push(await tableWriter.upload(table, signal, account, replaced))
          if (table.nextKey === undefined) continue
          part.mergedTo = table.nextKey
          await this.#steps.run(() => this.#publish(OUTPUTS_PER_STEP))
        }
      } finally {
        room?.release()
      }
    }
    part.done = true
    await this.#steps.run(() => this.#publish(OUTPUTS_PER_STEP))
  }

  /** Publishes what is finished without a gap, if it is at least so many tables or everything. */
  async #publish(least: number): Promise<void> {
    const open = this.#parts.findIndex((part) => !part.done)
    const last = this.#parts[open]
    const ready = open < 0 ? this.#parts : this.#parts.slice(0, open + 1)
    const outputs = ready.flatMap((part) => part.outputs)
    if (this.#ended || (last !== undefined && outputs.length < least)) return
    this.#ended = last === undefined
    await this.#work.publish(outputs, last?.mergedTo)
    const published = new Set(outputs)
    for (const part of ready) part.outputs.splice(0, part.outputs.length, ...part.outputs.filter((file) => !published.has(file)))
  }
}
