import { AccountedObjectStore, type ObjectStore, type PriceTable, pricesOfStore, RequestAccount } from '@moraine/object-store'

/**
 * What requests are made for. `get` and `scan`: reads that memory could not answer. `log`: the log in the store. `fence`:
 * looking whether the database is still ours. `release`: a clone lets go of its sources. `refresh`, `lease`: readers.
 * `other`: whatever does not say.
 */
export type RequestPurpose = (typeof REQUEST_PURPOSES)[number]

export const REQUEST_PURPOSES = [
  'open',
  'close',
  'get',
  'scan',
  'log',
  'flush',
  'compaction',
  'checkpoint',
  'restore',
  'gc',
  'fence',
  'release',
  'refresh',
  'lease',
  'other',
] as const

/** The accounts of a database or a reader from its opening on; a restore in place goes on with them. */
export class CostBook {
  readonly prices: PriceTable
  readonly accounts: Readonly<Record<RequestPurpose, RequestAccount>>
  /** Commits that list a checkpoint and bring nothing else; part of `checkpoint`. */
  readonly checkpointCommits: RequestAccount
  #puts = 0
  #gets = 0

  /** @param prices undefined: those of the store, as far as its place tells */
  constructor(store: ObjectStore, prices: PriceTable | undefined) {
    const table = prices ?? pricesOfStore(store)
    const entries = REQUEST_PURPOSES.map((purpose) => [purpose, new RequestAccount(table)] as const)
    this.prices = table
    this.accounts = Object.fromEntries(entries) as Record<RequestPurpose, RequestAccount>
    this.checkpointCommits = this.accounts.checkpoint.sub()
  }

  /** Operations of engines that have been replaced by a restore. */
  get puts(): number {
    return this.#puts
  }

  get gets(): number {
    return this.#gets
  }

  /** Another engine goes on where this one has stopped. */
  carry(operations: { readonly puts: number; readonly gets: number }): void {
    this.#puts += operations.puts
    this.#gets += operations.gets
  }

  /** The store for one purpose: what it asks there is charged to that. */
  store(store: ObjectStore, purpose: RequestPurpose): ObjectStore {
    return new AccountedObjectStore(store, this.accounts[purpose])
  }
}
