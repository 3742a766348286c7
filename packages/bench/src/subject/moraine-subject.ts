import { requestCount } from '@moraine/object-store'
import { type Db, open, WriteBatch } from 'moraine'
import type { Database, Entry, OpenSettings, Subject, Traffic } from './subject.ts'

/** Moraine with its default settings and its log in a folder of its own. Dollars are those of S3 Standard, wherever it runs. */
export async function loadMoraine(): Promise<Subject> {
  return {
    name: 'moraine',
    remote: true,
    open: async (settings: OpenSettings): Promise<Database> => {
      const sync = settings.durable ? 'always' : 'interval'
      const wal = { kind: 'local', folder: settings.folder, sync } as const
      return new MoraineDatabase(await open(settings.location, { wal, prices: 's3-standard' }))
    },
  }
}

class MoraineDatabase implements Database {
  readonly #db: Db

  constructor(db: Db) {
    this.#db = db
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#db.put(key, value)
  }

  putDurable(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#db.put(key, value, { durability: 'log' })
  }

  putBatch(entries: readonly Entry[]): Promise<void> {
    const batch = new WriteBatch()
    for (const [key, value] of entries) batch.put(key, value)
    return this.#db.write(batch)
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#db.get(key)
  }

  getResident(key: Uint8Array): boolean {
    return this.#db.getResident(key) !== undefined
  }

  async scanEntries(visit: (entry: Entry) => boolean, from?: Uint8Array): Promise<void> {
    for await (const entry of this.#db.scan(from === undefined ? {} : { gte: from })) {
      if (!visit(entry)) return
    }
  }

  async scanBatches(visit: (count: number) => boolean): Promise<void> {
    for await (const entries of this.#db.scanBatches()) {
      if (!visit(entries.length)) return
    }
  }

  flush(): Promise<void> {
    return this.#db.flush()
  }

  traffic(): Traffic {
    const { cost } = this.#db.stats()
    return { requests: requestCount(cost), dollars: cost.dollars, bytesWritten: cost.uploadedBytes }
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}
