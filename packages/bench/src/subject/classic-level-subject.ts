import type { ClassicLevel } from 'classic-level'
import type { Database, Entry, OpenSettings, Subject } from './subject.ts'

/** LevelDB on the local disk, through its Node binding, as it comes. */
export async function loadClassicLevel(): Promise<Subject> {
  const { ClassicLevel: Level } = await import('classic-level')
  return {
    name: 'classic-level',
    remote: false,
    open: async (settings: OpenSettings): Promise<Database> => {
      const level = new Level<Uint8Array, Uint8Array>(settings.folder, { keyEncoding: 'view', valueEncoding: 'view' })
      await level.open()
      return new ClassicLevelDatabase(level)
    },
  }
}

class ClassicLevelDatabase implements Database {
  readonly #level: ClassicLevel<Uint8Array, Uint8Array>

  constructor(level: ClassicLevel<Uint8Array, Uint8Array>) {
    this.#level = level
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#level.put(key, value)
  }

  putDurable(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#level.put(key, value, { sync: true })
  }

  putBatch(entries: readonly Entry[]): Promise<void> {
    return this.#level.batch(entries.map(([key, value]) => ({ type: 'put', key, value })))
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#level.get(key)
  }

  async scanEntries(visit: (entry: Entry) => boolean, from?: Uint8Array): Promise<void> {
    for await (const entry of this.#level.iterator(from === undefined ? {} : { gte: from })) {
      if (!visit(entry)) return
    }
  }

  async scanBatches(visit: (count: number) => boolean): Promise<void> {
    const iterator = this.#level.iterator()
    try {
      for (;;) {
        const entries = await iterator.nextv(1000)
        if (entries.length === 0 || !visit(entries.length)) return
      }
    } finally {
      await iterator.close()
    }
  }

  async flush(): Promise<void> {
    // LevelDB has no flush; a compaction of everything leaves it in tables, which is the better case for it.
    await this.#level.compactRange(new Uint8Array(0), new Uint8Array(32).fill(0xff))
  }

  close(): Promise<void> {
    return this.#level.close()
  }
}
