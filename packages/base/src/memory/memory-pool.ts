import { WaitList } from '../async/wait-list.ts'
import { MemoryAccount, type SharedMemory } from './memory-account.ts'
import { admitsMerge, memoryLimits, type MemoryLimits, pickFlush, pickGiver } from './memory-policy.ts'
import { type MemoryBudgetStats, type MemoryCategory, needed, NO_MEMORY, totalOf } from './memory-use.ts'

/** What the databases of a budget use: adds it up, makes room, wakes who waits. */
export class MemoryPool implements SharedMemory {
  readonly totalBytes: number
  readonly #accounts = new Set<MemoryAccount>()
  readonly #merges = new WaitList()
  #limits: MemoryLimits
  #usedBytes = 0
  #shrinking = false
  #sealing = false
  #waking = false

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes
    this.#limits = memoryLimits(totalBytes, 0)
  }

  /** What is used now, by category, all databases together. */
  stats(): MemoryBudgetStats {
    const sum: { -readonly [Category in MemoryCategory]: number } = { ...NO_MEMORY }
    for (const { use } of this.#accounts) {
      for (const category of Object.keys(sum) as MemoryCategory[]) sum[category] += use[category]
    }
    return { totalBytes: this.totalBytes, usedBytes: totalOf(sum), databases: this.#accounts.size, ...sum }
  }

  /** An account for a database that is being opened. */
  join(): MemoryAccount {
    const account = new MemoryAccount(this)
    this.#accounts.add(account)
    this.#limits = memoryLimits(this.totalBytes, this.#accounts.size)
    return account
  }

  get limits(): MemoryLimits {
    return this.#limits
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Not used by anything. */
  get freeBytes(): number {
    return this.totalBytes - this.#usedBytes
  }

  /** Not used by anything that could not give way. */
  get roomBytes(): number {
    let room = this.totalBytes
    for (const { use } of this.#accounts) room -= needed(use)
    return Math.max(0, room)
  }

  /** Memtables that are not flushed yet, of all databases. */
  get memtableBytes(): number {
    let bytes = 0
    for (const { use } of this.#accounts) bytes += use.memtables
    return bytes
  }

  /** An account was charged. Caches give way at once where that is too much. */
  charged(bytes: number): void {
    this.#usedBytes += bytes
    // A cache that gives way charges its account meanwhile.
    if (bytes <= 0 || this.#usedBytes <= this.totalBytes || this.#shrinking) return
    this.#shrinking = true
    try {
      this.#shrinkCaches()
    } finally {
      this.#shrinking = false
    }
  }

  /** Flushes what is to be flushed; when memtables became smaller, held writes look for room. */
  memtablesChanged(smaller: boolean): void {
    this.#sealLargest()
    if (smaller) this.#wakeSoon()
  }

  /** Whether a merge may begin that needs so much. */
  admitsMerge(bytes: number): boolean {
    let reserved = 0
    for (const account of this.#accounts) reserved += account.mergeBytes
    return admitsMerge(bytes, reserved, this.#limits)
  }

  /** Resolves when a merge has ended; rejects when `signal` fires. */
  mergeEnds(signal: AbortSignal): Promise<void> {
    return this.#merges.wait(signal)
  }

  mergeEnded(): void {
    this.#merges.wakeAll()
  }

  /** A database has closed its account; whoever waits may have room now. */
  left(account: MemoryAccount): void {
    if (!this.#accounts.delete(account)) return
    this.#limits = memoryLimits(this.totalBytes, this.#accounts.size)
    this.#usedBytes = 0
    for (const { use } of this.#accounts) this.#usedBytes += totalOf(use)
    this.#wakeSoon()
    this.mergeEnded()
  }

  #shrinkCaches(): void {
    let caches = [...this.#accounts].flatMap((account) => account.caches)
    for (;;) {
      const overBytes = this.#usedBytes - this.totalBytes
      const giver = overBytes > 0 ? pickGiver(caches) : undefined
      if (giver === undefined) return
      const before = giver.size()
      giver.giveWay(overBytes)
      // It keeps what it has.
      if (giver.size() === before) caches = caches.filter((cache) => cache !== giver)
    }
  }

  #sealLargest(): void {
    // Sealing changes the memtables, which brings us here again.
    if (this.#sealing || this.memtableBytes < this.#limits.memtableBytes / 2) return
    this.#sealing = true
    try {
      const asked = new Set<MemoryAccount>()
      for (;;) {
        const loads = [...this.#accounts].map((account) => {
          const { load } = account
          return { ...load, maySeal: load.maySeal && !asked.has(account), account }
        })
        const account = pickFlush(loads, this.#limits)?.account
        if (account === undefined) return
        asked.add(account)
        account.writer?.seal()
      }
    } finally {
      this.#sealing = false
    }
  }

  /** Not at once: whoever changed something is in the middle of it. */
  #wakeSoon(): void {
    if (this.#waking) return
    this.#waking = true
    queueMicrotask(() => {
      this.#waking = false
      for (const account of this.#accounts) account.wake()
    })
  }
}
