import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Db, DbIterator, KeyRange, ObjectStore } from '@slatedb/uniffi'
import type { Database, Entry, OpenSettings, Subject } from './subject.ts'

type Binding = typeof import('@slatedb/uniffi')

/** SlateDB through its own Node binding, as it comes, on the same kind of store as Moraine. */
export async function loadSlateDb(): Promise<Subject> {
  const binding = await import('@slatedb/uniffi')
  return {
    name: 'slatedb',
    remote: true,
    open: async (settings: OpenSettings): Promise<Database> => {
      // The store is resolved at a root and the database gets a path in it; the root of a folder must exist.
      const url = new URL(settings.location)
      const path = url.pathname.split('/').at(-1) as string
      if (url.protocol === 's3:') pointAtEndpoint(url.searchParams)
      url.search = ''
      url.pathname = url.pathname.slice(0, -path.length - 1)
      if (url.protocol === 'file:') await mkdir(fileURLToPath(url), { recursive: true })
      const store = binding.ObjectStore.resolve(url.href)
      const builder = new binding.DbBuilder(path, store)
      try {
        return new SlateDatabase(binding, store, await builder.build())
      } finally {
        builder.dispose()
      }
    },
  }
}

/** The binding takes an S3 endpoint from the environment only. */
function pointAtEndpoint(parameters: URLSearchParams): void {
  const endpoint = parameters.get('endpoint')
  const region = parameters.get('region')
  if (endpoint !== null) process.env['AWS_ENDPOINT'] = endpoint
  if (endpoint?.startsWith('http:') === true) process.env['AWS_ALLOW_HTTP'] = 'true'
  if (region !== null || endpoint !== null) process.env['AWS_REGION'] ??= region ?? 'us-east-1'
}

class SlateDatabase implements Database {
  readonly #binding: Binding
  readonly #store: ObjectStore
  readonly #db: Db

  constructor(binding: Binding, store: ObjectStore, db: Db) {
    this.#binding = binding
    this.#store = store
    this.#db = db
  }

  put(key: Uint8Array, value: Uint8Array): Promise<unknown> {
    return this.#db.put_with_options(key, value, { ttl: this.#binding.Ttl.Default() }, { await_durable: false })
  }

  putDurable(key: Uint8Array, value: Uint8Array): Promise<unknown> {
    return this.#db.put_with_options(key, value, { ttl: this.#binding.Ttl.Default() }, { await_durable: true })
  }

  async putBatch(entries: readonly Entry[]): Promise<void> {
    const batch = new this.#binding.WriteBatch()
    for (const [key, value] of entries) batch.put(key, value)
    await this.#db.write_with_options(batch, { await_durable: false })
    batch.dispose()
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#db.get(key)
  }

  async scanEntries(visit: (entry: Entry) => boolean, from?: Uint8Array): Promise<void> {
    const range: KeyRange = { start: from, start_inclusive: true, end: undefined, end_inclusive: false }
    const iterator: DbIterator = await this.#db.scan(range)
    try {
      for (;;) {
        const entry = await iterator.next()
        if (entry === undefined || !visit([entry.key, entry.value])) return
      }
    } finally {
      iterator.dispose()
    }
  }

  async flush(): Promise<void> {
    await this.#db.flush_with_options({ flush_type: this.#binding.FlushType.MemTable })
  }

  async close(): Promise<void> {
    await this.#db.shutdown()
    this.#db.dispose()
    this.#store.dispose()
  }
}
