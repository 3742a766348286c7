import type { ObjectStore } from '@moraine/object-store'
import type { Manifest } from '../manifest/manifest.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ReadView, ViewRegistry } from '../read/read-view.ts'
import { StoreWalTail } from '../wal/store-wal-tail.ts'
import { replayLog } from './replay.ts'

export interface ReaderTailOptions {
  readonly store: ObjectStore
  readonly databaseId: string
  readonly views: ViewRegistry
  readonly newMemtable: () => Memtable
}

/** Read from the log at once; a longer tail passes through memory in such pieces. */
const POLL_BYTES = 8 * 1024 * 1024

/**
 * What a reader that follows knows beyond the newest manifest: the writes of the log in the store, in memtables of its
 * own. They are the writer's history without a gap, so memtables and tables together give the same answers as the writer
 * does. A memtable whose last write a manifest has flushed is dropped.
 */
export class ReaderTail {
  readonly #options: ReaderTailOptions
  readonly #tail: StoreWalTail
  #lastSeq = 0

  constructor(options: ReaderTailOptions) {
    this.#options = options
    this.#tail = new StoreWalTail(options)
  }

  /** Everything up to this sequence number can be read. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** The memtables for the view of a newer manifest; to be installed in the same step as its version. */
  follow(manifest: Manifest): Pick<ReadView, 'active' | 'sealed'> {
    const { views, newMemtable } = this.#options
    this.#tail.follow(manifest)
    this.#lastSeq = Math.max(this.#lastSeq, manifest.flushedSeq)
    const { active, sealed } = views.current
    const filled = active.isEmpty ? sealed : [active, ...sealed]
    return {
      active: active.isEmpty ? active : newMemtable(),
      sealed: filled.filter((memtable) => memtable.largestSeq > manifest.flushedSeq),
    }
  }

  /** Reads what the log has by now; says whether there was anything. */
  async poll(signal: AbortSignal): Promise<boolean> {
    for (let some = false; ; some = true) {
      const records = await this.#tail.poll(POLL_BYTES, signal)
      if (records.length === 0) return some
      // Read at one moment: the sequence number moves on when all of them are in.
      const { lastSeq } = await replayLog(eachOf(records), this.#lastSeq, {
        active: () => this.#options.views.current.active,
        afterRecord: () => undefined,
      })
      this.#lastSeq = lastSeq
    }
  }
}

async function* eachOf<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items
}
