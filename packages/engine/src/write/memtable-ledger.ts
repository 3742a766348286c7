import type { BudgetedWriter, MemoryAccount } from '@moraine/base'
import type { ArenaPool } from '../memtable/arena.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ViewRegistry } from '../read/read-view.ts'

export interface MemtableLedgerOptions {
  readonly account: MemoryAccount
  readonly views: ViewRegistry
  /** Where the memtables' chunks come from and go back to; undefined: nowhere. */
  readonly pool?: ArenaPool | undefined
  readonly maxSealedMemtables: number
}

/** Tells the memory account of a database what its memtables hold. */
export class MemtableLedger {
  readonly #options: MemtableLedgerOptions
  #detached = false

  constructor(options: MemtableLedgerOptions) {
    this.#options = options
  }

  /** Memtables have grown, or come, or gone. May have a memtable sealed, of this database or of another one. */
  refresh(): void {
    if (this.#detached) return
    const { account, views, pool, maxSealedMemtables } = this.#options
    const { active, sealed } = views.current
    account.setMemtables({
      activeBytes: active.memoryBytes,
      sealedBytes: sealed.reduce((bytes, memtable) => bytes + memtable.memoryBytes, 0),
      maySeal: !active.isEmpty && sealed.length < maxSealedMemtables,
      heldBytes: this.#heldBytes(),
      poolBytes: pool?.pooledBytes ?? 0,
    })
  }

  /** Whether writes have to wait for memory. Then the writer is told to resume when there may be some. */
  mustHold(): boolean {
    return this.#options.account.mustHold()
  }

  /** Memory that writes may use, all databases together, and what is used of it. */
  get limits(): { readonly limitBytes: number; readonly usedBytes: number } {
    const { budget } = this.#options.account
    return { limitBytes: budget.limits.memtableBytes, usedBytes: budget.memtableBytes }
  }

  /** The writer that seals and resumes when the budget says so. */
  attach(writer: BudgetedWriter): void {
    this.#options.account.setWriter(writer)
  }

  /**
   * The writer has stopped for good. What its memtables still hold will never be flushed, so nobody is to wait for it; it
   * stays charged until the database is closed.
   */
  detach(): void {
    this.#detached = true
    const { account, views, pool } = this.#options
    const { active, sealed } = views.current
    account.setWriter(undefined)
    const stuckBytes = [active, ...sealed].reduce((bytes, memtable) => bytes + memtable.memoryBytes, 0)
    const heldBytes = this.#heldBytes() + stuckBytes
    account.setMemtables({ activeBytes: 0, sealedBytes: 0, maySeal: false, heldBytes, poolBytes: pool?.pooledBytes ?? 0 })
  }

  /** Of memtables that are flushed and that reads under way still use. */
  #heldBytes(): number {
    const { views } = this.#options
    const { active, sealed } = views.current
    const held = new Set<Memtable>()
    for (const view of views.heldReadViews()) {
      if (view === views.current) continue
      for (const memtable of [view.active, ...view.sealed]) {
        if (memtable !== active && !sealed.includes(memtable)) held.add(memtable)
      }
    }
    let bytes = 0
    for (const memtable of held) bytes += memtable.memoryBytes
    return bytes
  }
}
