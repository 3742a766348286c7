/**
 * Ends the logs of owners before us, so that they can be read to their end and nothing is acknowledged into them any
 * more. Order, and the reason for each step:
 *
 *   1. Our epoch is committed before any of this. From here on no older owner commits, so none begins its log further
 *      on or deletes a segment that our manifest wants.
 *   2. List each log. Only a hint of where it ends: its owner may be writing still.
 *   3. Create a fence at the first absent number. Segments are acknowledged in the order of their numbers, so the owner
 *      acknowledges nothing behind the fence; and what it acknowledged before is there for us to read. A number that is
 *      taken holds a segment, then the next number is tried; or the fence of a taker before us, and that is the end.
 *   4. The newest manifest must still be ours (recovery/recover-logs.ts). A taker that slept meanwhile goes no further.
 *   5. Only now read the segments.
 *
 * A crash between any two steps leaves logs that are ended or not; the next owner's manifest lists them, and ours, again.
 *
 * **A fence is never deleted**, short of deleting the database. Create-if-absent has no memory: without the fence, a
 * writer that slept through everything could create the next segment of its log and acknowledge it, however long after
 * the log was flushed and collected. No clock says when the last sleeper is gone, and a fence is one object of 192
 * bytes for each owner that did not close. An owner that closes ends its log itself and leaves no fence.
 *
 * **A hole** is damage, not an end. Several segments are in flight at once, so a crash may leave number 7 without number
 * 6; but each object says up to which number all had been created before it. An absent number below that was there.
 */
import type { Clock, Random } from '@moraine/base'
import { randomHex } from '@moraine/base'
import { createExactly, type ObjectStore } from '@moraine/object-store'
import type { Epoch } from '../layout/numbers.ts'
import { parseWalName, walEpochPrefix, walName } from '../layout/object-names.ts'
import type { WalEpoch } from '../manifest/manifest.ts'
import {
  damaged,
  decodeStoreWalHeader,
  encodeStoreWalFence,
  STORE_WAL_HEADER_BYTES,
  type StoreWalHeader,
} from './store-wal-segment.ts'

export interface StoreWalTakeover {
  readonly store: ObjectStore
  readonly databaseId: string
  /** The epoch that takes over. */
  readonly byEpoch: Epoch
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

/** A log that nobody can add to any more: segments `firstSegment` to `end - 1`. */
export interface EndedLog extends WalEpoch {
  readonly end: number
}

/** Fences every log, oldest first. The caller checks afterwards that it still owns the database. */
export async function endLogs(takeover: StoreWalTakeover, logs: readonly WalEpoch[]): Promise<EndedLog[]> {
  const ended: EndedLog[] = []
  for (const log of logs) ended.push({ ...log, end: await endLog(takeover, log) })
  return ended
}

async function endLog(takeover: StoreWalTakeover, { epoch, firstSegment }: WalEpoch): Promise<number> {
  const { store, databaseId, byEpoch, clock, random, signal } = takeover
  const listed = await listLog(store, epoch, firstSegment, signal)
  const highest = listed.at(-1)?.n ?? 0
  let n = firstSegment
  for (const object of listed) {
    // Behind a fence there may be segments that were on their way when it was made: they are not part of the log.
    if (object.n !== n || object.isFence) break
    n++
  }
  const read = (number: number): Promise<StoreWalHeader | undefined> =>
    readHeader(store, databaseId, epoch, number, signal)
  // The last one that exists says more of what was settled than all before it.
  const last = highest >= n ? await read(highest) : undefined
  for (; ; n++) {
    // With others behind it, the number may be a hole: that is found out before a fence fills it for good.
    const found = highest >= n ? await read(n) : undefined
    if (found === undefined) {
      if (last !== undefined && last.settled >= n) {
        throw damaged(walName(epoch, n), 0, `it is missing, and ${walName(epoch, highest)} says that it was there`)
      }
      const fence = encodeStoreWalFence({ databaseId, epoch, n, token: randomHex(random, 16), byEpoch })
      const options = { clock, random, signal }
      if ((await createExactly(store, walName(epoch, n), fence, options)) === 'created') return n
    }
    const there = found ?? (await read(n))
    if (there?.kind !== 'fence') continue
    if (last?.kind === 'segment' && last.settled >= n) {
      throw damaged(walName(epoch, n), 0, `it is a fence, and ${walName(epoch, highest)} says that a segment was there`)
    }
    return n
  }
}

/** An epoch's objects from number `first` on, ascending. One LIST for a thousand of them. */
async function listLog(
  store: ObjectStore,
  epoch: Epoch,
  first: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly n: number; readonly isFence: boolean }[]> {
  const listed: { n: number; isFence: boolean }[] = []
  let token: string | undefined
  do {
    const page = await store.list(walEpochPrefix(epoch), { startAfter: walName(epoch, first - 1), token, signal })
    for (const { key, sizeBytes } of page.objects) {
      const parsed = parseWalName(key)
      if (parsed?.epoch !== epoch || parsed.n < first) continue
      listed.push({ n: parsed.n, isFence: sizeBytes === STORE_WAL_HEADER_BYTES })
    }
    token = page.nextToken
  } while (token !== undefined)
  return listed.sort((a, b) => a.n - b.n)
}

async function readHeader(
  store: ObjectStore,
  databaseId: string,
  epoch: Epoch,
  n: number,
  signal: AbortSignal | undefined,
): Promise<StoreWalHeader | undefined> {
  const body = await store.get(walName(epoch, n), { signal })
  return body === undefined ? undefined : decodeStoreWalHeader(body.bytes, databaseId, epoch, n)
}
