import type { ObjectStore } from '@moraine/object-store'
import type { Epoch } from '../layout/numbers.ts'
import { walName } from '../layout/object-names.ts'
import { damaged, decodeStoreWalHeader, readStoreWalRecords } from './store-wal-segment.ts'
import type { EndedLog } from './store-wal-takeover.ts'
import type { WalRecord } from './wal-record.ts'

export interface StoreWalReplay {
  readonly store: ObjectStore
  readonly databaseId: string
  readonly logs: readonly EndedLog[]
  /** Everything up to this sequence number is in tables. */
  readonly flushedSeq: number
  /** The manifest's last used sequence number: the first segment of an owner may leave out numbers up to it. */
  readonly lastUsedSeq: number
  readonly signal?: AbortSignal | undefined
}

/** Segments that are fetched ahead of the one being read: so many, but fewer when they are large. */
const MOST_SEGMENTS_AHEAD = 16
const MOST_BYTES_AHEAD = 32 * 1024 * 1024

/**
 * The records above `flushedSeq` in order; the first may start at or below it and is given whole, so the caller skips
 * the writes it has. A payload is a view of its segment. Every number must be there, and every write: a missing or
 * damaged object is CORRUPTION naming it, never skipped.
 */
export async function* replayStoreWal(replay: StoreWalReplay): AsyncGenerator<WalRecord, void, undefined> {
  const wanted: { readonly epoch: Epoch; readonly n: number; readonly first: boolean }[] = []
  for (const { epoch, firstSegment, end } of replay.logs) {
    for (let n = firstSegment; n < end; n++) wanted.push({ epoch, n, first: n === firstSegment })
  }
  const fetches: Promise<WalSegmentBytes>[] = []
  let begun = 0
  let largestBytes = 1
  let lastSeq = replay.flushedSeq
  for (const { epoch, n, first } of wanted) {
    while (begun < wanted.length && fetches.length < segmentsAhead(largestBytes)) {
      const next = wanted[begun++] as (typeof wanted)[number]
      const fetch = fetchSegment(replay, next.epoch, next.n)
      // Its turn to fail comes when it is read.
      fetch.catch(() => {})
      fetches.push(fetch)
    }
    const bytes = await (fetches.shift() as Promise<WalSegmentBytes>)
    const name = walName(epoch, n)
    if (bytes === undefined) throw damaged(name, 0, 'it is missing')
    largestBytes = Math.max(largestBytes, bytes.length)
    const header = decodeStoreWalHeader(bytes, replay.databaseId, epoch, n)
    if (header.kind !== 'segment') throw damaged(name, 12, 'it is a fence in the middle of the log')
    // A writer leaves out only what is flushed, so above that a log has no gap; an owner also begins above every number
    // that was ever used.
    const before = first && n === 1 ? Math.max(lastSeq, replay.lastUsedSeq) : lastSeq
    if (header.firstSeq > before + 1) {
      throw damaged(name, 0, `writes ${lastSeq + 1} to ${header.firstSeq - 1} are missing before it`)
    }
    if (header.firstSeq <= lastSeq && lastSeq > replay.flushedSeq) {
      throw damaged(name, 0, `writes from ${header.firstSeq} on stand twice`)
    }
    for (const record of readStoreWalRecords(header, bytes)) {
      const recordEnd = record.firstSeq + record.count - 1
      if (recordEnd <= lastSeq) continue
      yield record
      lastSeq = recordEnd
    }
  }
}

function segmentsAhead(largestBytes: number): number {
  return Math.max(1, Math.min(MOST_SEGMENTS_AHEAD, Math.floor(MOST_BYTES_AHEAD / largestBytes)))
}

type WalSegmentBytes = Uint8Array | undefined

async function fetchSegment({ store, signal }: StoreWalReplay, epoch: Epoch, n: number): Promise<WalSegmentBytes> {
  return (await store.get(walName(epoch, n), { signal }))?.bytes
}
