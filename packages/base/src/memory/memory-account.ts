import { mergeNeed, type MemoryLimits, type MemtableLoad, mustHold, readAheadBytes } from './memory-policy.ts'
import { type CacheCategory, type MemoryBudgetStats, type MemoryCategory, type MemoryUse, NO_MEMORY } from './memory-use.ts'

/** A cache that gives way when memory is needed for something else. */
export interface GivingCache {
  /** Bytes it holds now. */
  size(): number
  /** Lets go of so many bytes, or a little more; of fewer when it has to keep them. Charges the account with the change. */
  giveWay(bytes: number): void
}

/** The writer of a database, as a budget sees it. */
export interface BudgetedWriter {
  /** Memory is short: the active memtable is to be flushed. */
  seal(): void
  /** There may be room again for writes that were held back. */
  resume(): void
}

/** The memtables of a database, all of them. */
export interface MemtableFigures extends MemtableLoad {
  readonly heldBytes: number
  readonly poolBytes: number
}

/** Bytes charged for as long as something is in memory. */
export interface MemoryHold {
  /** Idempotent; nothing when the account is closed already. */
  release(): void
}

/** What accounts share: a budget, as they see it. */
export interface SharedMemory {
  readonly totalBytes: number
  readonly limits: MemoryLimits
  /** Not used by anything. */
  readonly freeBytes: number
  /** Not used by anything that could not give way. */
  readonly roomBytes: number
  /** Memtables that are not flushed yet, of all databases. */
  readonly memtableBytes: number
  stats(): MemoryBudgetStats
  /** An account was charged. Caches give way at once where that is too much. */
  charged(bytes: number): void
  /** Flushes what is to be flushed; when memtables became smaller, held writes look for room. */
  memtablesChanged(smaller: boolean): void
  /** Whether a merge may begin that needs so much. */
  admitsMerge(bytes: number): boolean
  /** Resolves when a merge has ended; rejects when `signal` fires. */
  mergeEnds(signal: AbortSignal): Promise<void>
  mergeEnded(): void
  /** An account was closed; whoever waits may have room now. */
  left(account: MemoryAccount): void
}

/** What one database uses of a budget. Closing it gives back whatever it was charged. */
export class MemoryAccount {
  readonly #budget: SharedMemory
  readonly #use: { -readonly [Category in MemoryCategory]: number } = { ...NO_MEMORY }
  readonly #caches: GivingCache[] = []
  #load: MemtableLoad = NO_LOAD
  #writer: BudgetedWriter | undefined
  #waiting = false
  #closed = false
  #mergeBytes = 0

  /** Made by `MemoryBudget.join`. */
  constructor(budget: SharedMemory) {
    this.#budget = budget
  }

  get budget(): SharedMemory {
    return this.#budget
  }

  get use(): MemoryUse {
    return this.#use
  }

  get caches(): readonly GivingCache[] {
    return this.#caches
  }

  get load(): MemtableLoad {
    return this.#load
  }

  get writer(): BudgetedWriter | undefined {
    return this.#writer
  }

  /** Reserved by merges that are under way. */
  get mergeBytes(): number {
    return this.#mergeBytes
  }

  /** A cache that is charged here, and asked to give way. */
  addCache(cache: GivingCache): void {
    this.#caches.push(cache)
  }

  /** Whether a cache may grow by so much without pushing anything out. */
  hasRoomFor(bytes: number): boolean {
    return this.#budget.freeBytes >= bytes
  }

  /** A cache has grown or shrunk. */
  charge(category: CacheCategory, bytes: number): void {
    this.#add(category, bytes)
  }

  /** Charges something that needs its memory, until it is released. */
  hold(category: 'uploads' | 'readAhead', bytes: number): MemoryHold {
    this.#add(category, bytes)
    let held = true
    return {
      release: () => {
        if (held) this.#add(category, -bytes)
        held = false
      },
    }
  }

  /** How much a scan may read ahead that wants `bytes`. */
  readAheadBytes(bytes: number): number {
    return readAheadBytes(bytes, this.#budget.roomBytes)
  }

  /**
   * Waits until a merge of `runs` inputs has room, and reserves it. Rejects when `signal` fires. What it waits for is
   * other merges only, which end by themselves: neither scans nor writes.
   */
  async reserveMerge(
    merge: { readonly outputBytes: number; readonly runs: number; readonly mostWindowBytes: number },
    signal: AbortSignal,
  ): Promise<MemoryHold & { readonly windowBytes: number }> {
    const need = mergeNeed(merge.outputBytes, merge.runs, merge.mostWindowBytes, this.#budget.limits)
    while (!this.#budget.admitsMerge(need.bytes)) await this.#budget.mergeEnds(signal)
    const hold = this.hold('uploads', need.bytes)
    this.#mergeBytes += need.bytes
    let held = true
    return {
      windowBytes: need.windowBytes,
      release: () => {
        if (held && !this.#closed) this.#mergeBytes -= need.bytes
        held = false
        hold.release()
        this.#budget.mergeEnded()
      },
    }
  }

  /** The writer to be told when memory is short and when there is room; undefined: there is none any more. */
  setWriter(writer: BudgetedWriter | undefined): void {
    this.#writer = this.#closed ? undefined : writer
  }

  /** The memtables have changed. May seal the active one of any database of the budget. */
  setMemtables(figures: MemtableFigures): void {
    if (this.#closed) return
    const before = this.#use.memtables
    this.#load = figures
    // In one step: a chunk that goes from a memtable to the pool, or back, changes nothing in sum.
    const change =
      figures.activeBytes + figures.sealedBytes - this.#use.memtables +
      (figures.heldBytes - this.#use.heldMemtables) +
      (figures.poolBytes - this.#use.memtablePool)
    this.#use.memtables = figures.activeBytes + figures.sealedBytes
    this.#use.heldMemtables = figures.heldBytes
    this.#use.memtablePool = figures.poolBytes
    this.#budget.charged(change)
    this.#budget.memtablesChanged(this.#use.memtables < before)
  }

  /** Whether writes have to be held back. If so, `writer.resume` is called when there may be room. */
  mustHold(): boolean {
    this.#waiting = mustHold(this.#load, this.#budget.memtableBytes, this.#budget.limits)
    return this.#waiting
  }

  /** Lets a writer that waits look again. */
  wake(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.#writer?.resume()
  }

  /** Empties the caches and gives everything back. Idempotent; later charges count nothing. */
  close(): void {
    if (this.#closed) return
    for (const cache of this.#caches) cache.giveWay(Number.POSITIVE_INFINITY)
    this.#closed = true
    this.#writer = undefined
    this.#waiting = false
    this.#load = NO_LOAD
    this.#mergeBytes = 0
    Object.assign(this.#use, NO_MEMORY)
    this.#budget.left(this)
  }

  #add(category: MemoryCategory, bytes: number): void {
    if (this.#closed) return
    this.#use[category] += bytes
    this.#budget.charged(bytes)
  }
}

const NO_LOAD: MemtableLoad = { activeBytes: 0, sealedBytes: 0, maySeal: false }
