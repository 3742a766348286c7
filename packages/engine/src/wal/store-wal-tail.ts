import type { ObjectStore } from '@moraine/object-store'
import { walName } from '../layout/object-names.ts'
import type { WalEpoch } from '../manifest/manifest.ts'
import { decodeStoreWalHeader, readStoreWalRecords } from './store-wal-segment.ts'
import type { WalRecord } from './wal-record.ts'

export interface StoreWalTailOptions {
  readonly store: ObjectStore
  readonly databaseId: string
}

/** What a manifest says about the log, for a reader of that manifest. */
export interface WalTailStart {
  readonly walEpochs: readonly WalEpoch[]
  readonly flushedSeq: number
  readonly lastSeq: number
}

/**
 * Follows the log in the store as a reader that writes nothing: gives the writes above a manifest's tables, in order,
 * as their segments appear. It reads numbers in order and stops at the first absent one, so all it ever gives is part
 * of the history that a new owner would replay, too. A poll without news costs one GET.
 *
 * Segments vanish when they are flushed. That looks like the end of the log until the reader has the manifest that
 * flushed them: {@link follow} it, and the tail goes on behind it. Reload the manifest from time to time, whatever the
 * tail gives.
 */
export class StoreWalTail {
  readonly #options: StoreWalTailOptions
  #logs: readonly WalEpoch[] = []
  /** Place in `#logs`, and the next number to read there. */
  #at = 0
  #next = 1
  #lastSeq = 0
  #lastUsedSeq = 0

  constructor(options: StoreWalTailOptions) {
    this.#options = options
  }

  /** Sequence of the last write given, or in the tables of the manifest followed. */
  get lastSeq(): number {
    return this.#lastSeq
  }

  /** Goes on from a newer manifest; what was given already is not given again. Not during a poll. */
  follow({ walEpochs, flushedSeq, lastSeq }: WalTailStart): void {
    const current = this.#logs[this.#at]
    const at = current === undefined ? -1 : walEpochs.findIndex(({ epoch }) => epoch === current.epoch)
    this.#logs = walEpochs
    this.#at = Math.max(0, at)
    const first = walEpochs[this.#at]?.firstSegment ?? 1
    this.#next = at < 0 ? first : Math.max(this.#next, first)
    this.#lastSeq = Math.max(this.#lastSeq, flushedSeq)
    this.#lastUsedSeq = lastSeq
  }

  /**
   * The writes that appeared since the last poll: whole records with at least one new write, so the caller skips those
   * up to the `lastSeq` from before. At most about `maxBytes` at once; poll again while it gives something.
   * CORRUPTION when a segment is damaged.
   */
  async poll(maxBytes: number, signal?: AbortSignal): Promise<WalRecord[]> {
    const { store, databaseId } = this.#options
    const records: WalRecord[] = []
    let bytes = 0
    while (bytes < maxBytes) {
      const log = this.#logs[this.#at]
      if (log === undefined) break
      const body = await store.get(walName(log.epoch, this.#next), { signal })
      if (body === undefined) break
      const header = decodeStoreWalHeader(body.bytes, databaseId, log.epoch, this.#next)
      if (header.kind === 'fence') {
        const following = this.#logs[this.#at + 1]
        // The new owner's log is in a manifest that the reader does not have yet.
        if (following === undefined) break
        this.#at++
        this.#next = following.firstSegment
        continue
      }
      // Writes in between were flushed and left out: only a newer manifest has them.
      const before = this.#next === 1 ? Math.max(this.#lastSeq, this.#lastUsedSeq) : this.#lastSeq
      if (header.firstSeq > before + 1) break
      for (const record of readStoreWalRecords(header, body.bytes)) {
        const recordEnd = record.firstSeq + record.count - 1
        if (recordEnd <= this.#lastSeq) continue
        records.push(record)
        this.#lastSeq = recordEnd
      }
      this.#next++
      bytes += body.bytes.length
    }
    return records
  }
}
