import type { Database, OpenSettings, Subject } from '../subject/subject.ts'
import type { Dataset } from './dataset.ts'

/** One row of the report. */
export interface FigureSpec {
  readonly name: string
  /** How to print it: a rate, milliseconds, or a plain factor or count. */
  readonly unit: 'per-second' | 'ms' | 'factor' | 'count' | 'dollars' | 'bytes'
  readonly better: 'more' | 'less'
  /** What to aim at, in words; empty where there is none. */
  readonly target: string
}

/** A measured value for each figure; a figure that a subject cannot have is left out. */
export type Figures = Readonly<Record<string, number>>

/**
 * A workload measures one thing on one subject, once. The runner decides about rounds, order and medians.
 *
 * `needs` is the database it wants: `empty` (a fresh one each time), `memory` (the entries were just written and are
 * still in memory where the subject keeps them so) or `tables` (flushed and read once). The last two are shared by
 * all workloads that ask for them, so those only read. `own`: it opens what it needs by itself.
 */
export interface Workload {
  readonly name: string
  readonly figures: readonly FigureSpec[]
  readonly needs: 'empty' | 'memory' | 'tables' | 'own'
  /** Open the database so that every acknowledged put is synced. */
  readonly durable?: boolean
  /** Only these subjects can do it; all when absent. */
  readonly only?: readonly string[]
  /** Rounds to run when fewer than usual are enough, because one takes long. */
  readonly maxRounds?: number
  measure(context: MeasureContext): Promise<Figures>
}

export interface MeasureContext {
  readonly subject: Subject
  /** The database asked for; absent when `needs` is `own`. */
  readonly database: Database
  /** Settings to open databases with when `needs` is `own`: fresh for each call. */
  freshSettings(): OpenSettings
  readonly dataset: Dataset
  /** Entries in a `memory` or `tables` database. */
  readonly rows: number
  /** How long a measurement should take. */
  readonly budgetMs: number
  /** Monotonic milliseconds. */
  nowMs(): number
  /** Lets the event loop turn. */
  yieldNow(): Promise<void>
  /** Starts to sample how late the event loop runs. */
  watchEventLoop(): EventLoopWatch
}

export interface EventLoopWatch {
  stop(): { readonly p50Ms: number; readonly p99Ms: number; readonly p999Ms: number }
}
