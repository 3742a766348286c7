/** A key and its value. */
export type Entry = readonly [key: Uint8Array, value: Uint8Array]

/** A database under test, opened. Every subject is driven through this one shape, so the loops around it are equal. */
export interface Database {
  /** Resolves when the write is accepted; nothing is synced to a disk or bucket for it. */
  put(key: Uint8Array, value: Uint8Array): Promise<unknown>
  /** Resolves when the write survives a crash of the machine that the subject is made to survive. */
  putDurable(key: Uint8Array, value: Uint8Array): Promise<unknown>
  putBatch(entries: readonly Entry[]): Promise<unknown>
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** Reads entries one at a time, in key order from the first or from `from`, until `visit` says false. */
  scanEntries(visit: (entry: Entry) => boolean, from?: Uint8Array): Promise<void>
  /** The same, as many at a time as the subject likes. Subjects without such a call leave it out. */
  scanBatches?(visit: (count: number) => boolean): Promise<void>
  /** A synchronous read of what is in memory; true when it answered. */
  getResident?(key: Uint8Array): boolean
  /** Brings everything written so far to where it stays, so that reads come from tables. */
  flush(): Promise<void>
  /** What the subject has asked of its store and disk since it was opened, where it can tell. */
  traffic?(): Traffic
  close(): Promise<void>
}

export interface Traffic {
  readonly requests: number
  readonly dollars: number
  readonly bytesWritten: number
}

/** How a subject is opened for a workload. */
export interface OpenSettings {
  /** A folder of its own, absent or empty. */
  readonly folder: string
  /** A URL of its own in the object store under test; subjects that know only disks use `folder`. */
  readonly location: string
  /** Every acknowledged put is synced: for the durable-put workload. */
  readonly durable: boolean
}

/** Something to measure. */
export interface Subject {
  readonly name: string
  /** True when its data is in the object store, so that its folder's size says nothing. */
  readonly remote: boolean
  open(settings: OpenSettings): Promise<Database>
}

/** A subject that cannot run here, with the reason for the report. */
export interface MissingSubject {
  readonly name: string
  readonly missing: string
}
