import { applyEdit, EMPTY_VERSION, levelBytes, type Version } from '../../manifest/version.ts'
import { type CompactionPlan, type CompactionReason, type CompactionSettings, inputBytes, isTrivialMove, type PickContext } from '../compaction-plan.ts'
import { CompactionTotals, sortedRuns } from '../compaction-totals.ts'
import { compactionScores, pickCompaction } from '../pick-compaction.ts'
import { type SimulatedLoad, simulatedWrites } from './simulated-load.ts'
import { SimulatedTables } from './simulated-tables.ts'

export interface SimulationSettings extends CompactionSettings {
  /** Tables in level 0 that hold writes back. */
  readonly level0StopTrigger: number
}

export interface Simulation {
  readonly load: SimulatedLoad
  readonly settings: SimulationSettings
  /** Size of an entry in a table, key and value together; a tombstone is its key alone. */
  readonly keyBytes: number
  readonly valueBytes: number
  /** Writes that arrive a second, unless they are held back. */
  readonly writesPerSecond: number
  /** Bytes of input that the one compaction at a time merges a second. */
  readonly compactionBytesPerSecond: number
  /** Pictures of the tree over the time of the load. */
  readonly samples: number
  /** Called now and then with the writes done so far. */
  readonly onProgress?: (writes: number) => void
}

/** A figure over the flushes of the load. */
export interface Spread {
  readonly mean: number
  readonly most: number
}

export interface SimulatedLevel {
  readonly level: number
  readonly files: number
  readonly sizeBytes: number
  readonly score: number
  readonly compactions: number
  readonly readBytes: number
  readonly writtenBytes: number
  readonly movedBytes: number
}

/** The tree and the work done at one moment; bytes since the start. */
export interface SimulationSample {
  readonly seconds: number
  readonly writes: number
  readonly flushedBytes: number
  readonly compactedBytes: number
  readonly sizeBytes: number
  readonly sortedRuns: number
}

export interface SimulationReport {
  readonly writes: number
  readonly seconds: number
  /** How long writes were held back because level 0 was too deep. */
  readonly stalledSeconds: number
  readonly liveBytes: number
  readonly sizeBytes: number
  readonly flushedBytes: number
  readonly compactedBytes: number
  /** Bytes written by flushes and compactions for each byte flushed. */
  readonly writeAmplification: number
  /** Bytes of tables over bytes of entries that a scan would give; 0 when nothing is alive. */
  readonly spaceAmplification: Spread
  /** Sorted runs: the places a read without filters looks into. */
  readonly readAmplification: Spread
  readonly compactions: number
  readonly trivialMoves: number
  readonly largestCompactionBytes: number
  readonly reasons: Readonly<Partial<Record<CompactionReason, number>>>
  readonly levels: readonly SimulatedLevel[]
  readonly samples: readonly SimulationSample[]
}

/**
 * What the pickers would do over a synthetic load: flushes and compactions of tables that hold only keys, with a clock
 * that advances by the rate of the writes and the speed of compaction. No I/O, no real time; the same input gives the same
 * report.
 */
export function simulateCompaction(simulation: Simulation): SimulationReport {
  const run = new SimulationRun(simulation)
  for (const { key, deleted } of simulatedWrites(simulation.load)) run.write(key, deleted)
  return run.finish()
}

class SimulationRun {
  readonly #simulation: Simulation
  readonly #tables: SimulatedTables
  readonly #totals = new CompactionTotals()
  readonly #reasons: Partial<Record<CompactionReason, number>> = {}
  readonly #samples: SimulationSample[] = []
  readonly #alive = new Set<number>()
  readonly #memtableWrites: number
  readonly #sampleEvery: number
  #memtable = new Map<number, { seq: number; deleted: boolean }>()
  #version: Version = EMPTY_VERSION
  #running: { readonly plan: CompactionPlan; readonly endsAt: number } | undefined
  #seconds = 0
  #stalledSeconds = 0
  #writes = 0
  #inMemtable = 0
  #flushes = 0
  #largestBytes = 0
  #space = { sum: 0, most: 0 }
  #runs = { sum: 0, most: 0 }

  constructor(simulation: Simulation) {
    const { keyBytes, valueBytes, settings, load, samples } = simulation
    this.#simulation = simulation
    this.#tables = new SimulatedTables({
      entryBytes: keyBytes + valueBytes,
      tombstoneBytes: keyBytes,
      targetFileSizeBytes: settings.targetFileSizeBytes,
    })
    this.#memtableWrites = Math.max(1, Math.floor(settings.memtableSizeBytes / (keyBytes + valueBytes)))
    this.#sampleEvery = Math.max(1, Math.floor(load.writes / this.#memtableWrites / Math.max(1, samples)))
  }

  write(key: number, deleted: boolean): void {
    this.#memtable.set(key, { seq: ++this.#writes, deleted })
    if (deleted) this.#alive.delete(key)
    else this.#alive.add(key)
    this.#seconds += 1 / this.#simulation.writesPerSecond
    if (++this.#inMemtable >= this.#memtableWrites) this.#flush()
  }

  finish(): SimulationReport {
    const { settings, load } = this.#simulation
    this.#flush()
    this.#sample()
    const seconds = this.#seconds
    this.#catchUp(Number.POSITIVE_INFINITY)
    const scores = compactionScores(this.#version, settings, this.#context())
    const flushes = Math.max(1, this.#flushes)
    return {
      writes: load.writes,
      seconds,
      stalledSeconds: this.#stalledSeconds,
      liveBytes: this.#liveBytes(),
      sizeBytes: bytesOf(this.#version),
      flushedBytes: this.#totals.flushedBytes,
      compactedBytes: this.#totals.writtenBytes,
      writeAmplification: this.#totals.writeAmplification,
      spaceAmplification: { mean: this.#space.sum / flushes, most: this.#space.most },
      readAmplification: { mean: this.#runs.sum / flushes, most: this.#runs.most },
      compactions: this.#totals.compactions,
      trivialMoves: this.#totals.trivialMoves,
      largestCompactionBytes: this.#largestBytes,
      reasons: this.#reasons,
      levels: this.#version.levels.map((files, level) => ({
        level,
        files: files.length,
        sizeBytes: levelBytes(files),
        score: scores[level] as number,
        ...(this.#totals.levels[level] as CompactionTotals['levels'][number]),
      })),
      samples: this.#samples,
    }
  }

  #flush(): void {
    if (this.#memtable.size === 0) return
    const { settings, onProgress } = this.#simulation
    const entries = [...this.#memtable].sort(([a], [b]) => a - b)
    const file = this.#tables.make(
      {
        keys: Uint32Array.from(entries, ([key]) => key),
        seqs: Uint32Array.from(entries, ([, { seq }]) => seq),
        deleted: Uint8Array.from(entries, ([, { deleted }]) => (deleted ? 1 : 0)),
      },
      this.#nowMs(),
    )
    this.#memtable = new Map()
    this.#inMemtable = 0
    this.#catchUp(this.#seconds)
    this.#version = applyEdit(this.#version, { removed: [], added: [{ level: 0, file }] })
    this.#totals.flushed(file.sizeBytes)
    this.#start()
    while ((this.#version.levels[0] ?? []).length >= settings.level0StopTrigger && this.#running !== undefined) {
      this.#stalledSeconds += this.#running.endsAt - this.#seconds
      this.#seconds = this.#running.endsAt
      this.#catchUp(this.#seconds)
    }
    this.#measure()
    onProgress?.(this.#writes)
  }

  /** Ends the compactions that are done by `seconds`, and starts the ones after them. */
  #catchUp(seconds: number): void {
    while (this.#running !== undefined && this.#running.endsAt <= seconds) {
      const { plan, endsAt } = this.#running
      const { version, outputs } = this.#tables.apply(this.#version, plan, this.#nowMs())
      this.#version = version
      this.#totals.compacted(plan, levelBytes(outputs))
      this.#reasons[plan.reason] = (this.#reasons[plan.reason] ?? 0) + 1
      this.#running = undefined
      this.#start(endsAt)
    }
  }

  #start(seconds: number = this.#seconds): void {
    if (this.#running !== undefined) return
    const { settings, compactionBytesPerSecond } = this.#simulation
    const plan = pickCompaction(this.#version, settings, this.#context())
    if (plan === undefined) return
    const bytes = isTrivialMove(plan) ? 0 : inputBytes(plan)
    this.#largestBytes = Math.max(this.#largestBytes, bytes)
    this.#running = { plan, endsAt: seconds + bytes / compactionBytesPerSecond }
  }

  #measure(): void {
    this.#flushes++
    const live = this.#liveBytes()
    const space = live === 0 ? 0 : bytesOf(this.#version) / live
    const runs = sortedRuns(this.#version)
    this.#space = { sum: this.#space.sum + space, most: Math.max(this.#space.most, space) }
    this.#runs = { sum: this.#runs.sum + runs, most: Math.max(this.#runs.most, runs) }
    if (this.#flushes % this.#sampleEvery === 0) this.#sample()
  }

  #sample(): void {
    if (this.#samples.at(-1)?.writes === this.#writes) return
    this.#samples.push({
      seconds: this.#seconds,
      writes: this.#writes,
      flushedBytes: this.#totals.flushedBytes,
      compactedBytes: this.#totals.writtenBytes,
      sizeBytes: bytesOf(this.#version),
      sortedRuns: sortedRuns(this.#version),
    })
  }

  #context(): PickContext {
    return { oldestSnapshot: undefined, nowMs: this.#nowMs(), running: [] }
  }

  #nowMs(): number {
    return Math.round(this.#seconds * 1000)
  }

  /** What is alive, the memtable included; it is empty whenever this is asked. */
  #liveBytes(): number {
    return this.#alive.size * (this.#simulation.keyBytes + this.#simulation.valueBytes)
  }
}

function bytesOf(version: Version): number {
  return version.levels.reduce((bytes, files) => bytes + levelBytes(files), 0)
}
