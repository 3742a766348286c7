import type { KeyRange } from '../key/key-range.ts'
import { type KeySpan, restrictFile, type TableFile } from '../manifest/table-file.ts'
import { overlappingFiles, type Version } from '../manifest/version.ts'
import type { ApplicationCode, FlushJob, MergeJob } from '../table/byte-work.ts'
import { type CompactionPlan, keySpan } from './compaction-plan.ts'

/** What a merge goes by, asked for when it begins. */
export interface MergeRules {
  job(level: number): FlushJob
  /** What has expired by this wall-clock millisecond nobody can see. */
  ttlNowMs(): number
  mergeCode(outputLevel: number): ApplicationCode | undefined
}

export interface MergeJobSettings extends FlushJob {
  readonly targetSizeBytes: number
}

/** The merge of the keys of a plan that lie in `range`; undefined when none of its inputs has any. */
export function mergeJob(
  plan: CompactionPlan,
  version: Version,
  range: KeyRange,
  settings: MergeJobSettings,
): MergeJob | undefined {
  const runs = plan.inputs
    .flatMap(({ level, files }) => (level === 0 ? files.map((file) => [file]) : [files]))
    .map((files) => files.flatMap((file) => restrictFile(file, range) ?? []))
    .filter((files) => files.length > 0)
  if (runs.length === 0) return undefined
  return {
    ...settings,
    runs: runs.map((files) => files.map(detached)),
    deeper: deeperSpans(plan, version, runs.flat()),
  }
}

/**
 * The tables outside of the plan that may hold older versions of the merged keys: those of deeper levels, and those of the
 * input levels that stayed out. Tables of level 0 that are newer than all inputs hide nothing.
 */
function deeperSpans(plan: CompactionPlan, version: Version, inputs: readonly TableFile[]): KeySpan[][] {
  const [smallest, largest] = keySpan(inputs)
  const merged = new Set(plan.inputs.flatMap(({ files }) => files))
  const top = Math.min(...plan.inputs.map(({ level }) => level))
  const newestSeq = inputs.reduce((seq, file) => Math.max(seq, file.largestSeq), 0)
  return version.levels.flatMap((files, level) => {
    if (level < top) return []
    const others = overlappingFiles(files, smallest, largest).filter((file) => !merged.has(file))
    const spans = others.map(({ smallestKey, largestKey, largestKeyExcluded, range }) => ({
      smallestKey: own(smallestKey),
      largestKey: own(largestKey),
      largestKeyExcluded,
      range: ownRange(range),
    }))
    if (level > 0) return spans.length === 0 ? [] : [spans]
    return spans.filter((_, i) => (others[i] as TableFile).smallestSeq <= newestSeq).map((span) => [span])
  })
}

/** Cloning a view of a larger buffer would clone the whole buffer. */
function detached(file: TableFile): TableFile {
  return {
    ...file,
    smallestKey: own(file.smallestKey),
    largestKey: own(file.largestKey),
    range: ownRange(file.range),
  }
}

function ownRange(range: KeyRange | undefined): KeyRange | undefined {
  if (range === undefined) return undefined
  return { gte: range.gte && own(range.gte), lt: range.lt && own(range.lt) }
}

function own(bytes: Uint8Array): Uint8Array {
  return bytes.buffer.byteLength === bytes.byteLength ? bytes : new Uint8Array(bytes)
}
