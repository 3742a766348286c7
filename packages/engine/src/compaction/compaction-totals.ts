import { LEVEL_COUNT, levelBytes, levelZeroDepth, type Version } from '../manifest/version.ts'
import { type CompactionPlan, isTrivialMove } from './compaction-plan.ts'

/** What compactions did to one level since the database was opened; bytes of tables. */
export interface LevelTotals {
  /** Compactions that wrote into the level. */
  compactions: number
  /** Bytes of tables that compactions took out of the level to merge them. */
  readBytes: number
  /** Bytes of tables that flushes and compactions wrote into the level. */
  writtenBytes: number
  /** Bytes of tables that came into the level without being rewritten. */
  movedBytes: number
}

/** Counts the bytes that flushes and compactions move: what write amplification is made of. */
export class CompactionTotals {
  readonly levels: readonly LevelTotals[] = Array.from({ length: LEVEL_COUNT }, () => ({
    compactions: 0,
    readBytes: 0,
    writtenBytes: 0,
    movedBytes: 0,
  }))
  compactions = 0
  trivialMoves = 0
  flushedBytes = 0
  readBytes = 0
  writtenBytes = 0

  flushed(bytes: number): void {
    this.flushedBytes += bytes
    this.#level(0).writtenBytes += bytes
  }

  /** @param outputBytes of the tables that the plan made; of a trivial move it does not matter. */
  compacted(plan: CompactionPlan, outputBytes: number): void {
    const output = this.#level(plan.outputLevel)
    this.compactions++
    output.compactions++
    if (plan.reason === 'dead') return
    if (isTrivialMove(plan)) {
      this.trivialMoves++
      for (const { files } of plan.inputs) output.movedBytes += levelBytes(files)
      return
    }
    for (const { level, files } of plan.inputs) {
      const bytes = levelBytes(files)
      this.#level(level).readBytes += bytes
      this.readBytes += bytes
    }
    output.writtenBytes += outputBytes
    this.writtenBytes += outputBytes
  }

  /** Bytes written into tables for each byte flushed; 1 before anything was flushed or compacted. */
  get writeAmplification(): number {
    return this.flushedBytes === 0 ? 1 : (this.flushedBytes + this.writtenBytes) / this.flushedBytes
  }

  #level(level: number): LevelTotals {
    return this.levels[level] as LevelTotals
  }
}

/** Places that a read without filters looks into: the tables of level 0 and the non-empty levels. */
export function sortedRuns(version: Version): number {
  return version.levels.reduce((runs, files, level) => runs + (level === 0 ? levelZeroDepth(files) : Math.min(files.length, 1)), 0)
}

/**
 * All bytes over the bytes of the oldest sorted run: what the tables take up for each byte that is surely not
 * superseded by an older one. An upper bound of the true figure while most writes replace keys that exist; 1 when empty.
 */
export function spaceAmplification(version: Version): number {
  const oldest = version.levels.findLast((files) => files.length > 0)
  if (oldest === undefined) return 1
  const oldestBytes = oldest === version.levels[0] ? Math.max(...oldest.map((file) => file.sizeBytes)) : levelBytes(oldest)
  return version.levels.reduce((bytes, files) => bytes + levelBytes(files), 0) / oldestBytes
}
