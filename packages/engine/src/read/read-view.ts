import { MoraineError } from '@moraine/base'
import type { Memtable } from '../memtable/memtable.ts'
import type { Version } from '../manifest/version.ts'

/** Everything a read looks at, at one moment: immutable but for the active memtable, which only grows. */
export interface ReadView {
  /** Grows by one with every new view. */
  readonly number: number
  readonly active: Memtable
  /** Sealed memtables that are not in the version yet, newest first. */
  readonly sealed: readonly Memtable[]
  readonly version: Version
}

/** What is to be done when no view older than `before` is in use that still has what the newer ones have not. */
interface Retirement {
  readonly before: number
  readonly isIn: (view: ReadView) => boolean
  readonly retire: () => void
}

/**
 * The current view and the older ones that reads still use. A read that has to wait for I/O acquires the view it began
 * with; whatever a newer view dropped (memtables after their flush, tables after a compaction) is retired only when no
 * older view is in use any more.
 */
export class ViewRegistry {
  #current: ReadView
  /** Number of users by view; views without users are absent. */
  readonly #users = new Map<ReadView, number>()
  #retirements: Retirement[] = []

  constructor(active: Memtable, version: Version) {
    this.#current = { number: 1, active, sealed: [], version }
  }

  get current(): ReadView {
    return this.#current
  }

  /** How many reads hold a view other than the current one, and so keep memory or tables from being freed. */
  get heldViews(): number {
    return this.#users.has(this.#current) ? this.#users.size - 1 : this.#users.size
  }

  /** All views that reads use. */
  heldReadViews(): Iterable<ReadView> {
    return this.#users.keys()
  }

  /** The versions of all views that reads use. */
  *heldVersions(): Generator<Version> {
    for (const view of this.#users.keys()) yield view.version
  }

  /** Holds the current view, or one more time a view that is held already. */
  acquire(view: ReadView = this.#current): ReadView {
    this.#users.set(view, (this.#users.get(view) ?? 0) + 1)
    return view
  }

  release(view: ReadView): void {
    const users = this.#users.get(view)
    if (users === undefined) throw new MoraineError('INTERNAL', 'a read view was released twice')
    if (users > 1) {
      this.#users.set(view, users - 1)
      return
    }
    this.#users.delete(view)
    this.#runRetirements()
  }

  /**
   * Replaces the current view. `retire` is called, now or later, when no read uses a view older than the new one: there
   * the caller frees what the new view no longer has. `isIn` says which older views have it; by default all of them.
   */
  install(change: Partial<Omit<ReadView, 'number'>>, retire?: () => void, isIn: (view: ReadView) => boolean = ANY_VIEW): void {
    this.#current = { ...this.#current, ...change, number: this.#current.number + 1 }
    if (retire === undefined) return
    this.#retirements.push({ before: this.#current.number, isIn, retire })
    this.#runRetirements()
  }

  #runRetirements(): void {
    if (this.#retirements.length === 0) return
    const views = [...this.#users.keys()]
    const waits = ({ before, isIn }: Retirement): boolean => views.some((view) => view.number < before && isIn(view))
    const due = this.#retirements.filter((entry) => !waits(entry))
    if (due.length === 0) return
    this.#retirements = this.#retirements.filter((entry) => waits(entry))
    for (const entry of due) entry.retire()
  }
}

const ANY_VIEW = (): boolean => true
