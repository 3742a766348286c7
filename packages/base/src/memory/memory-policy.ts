/**
 * Who may use how much of a memory budget. Pure decisions; `MemoryBudget` acts on them.
 *
 *     0 %                        40 %          50 %                              100 %
 *     +---------------------------+-------------+----------------------------------+
 *     | memtables, shared         | floors      | uploads of flushes, merges,      |
 *     | by all databases          | one each    | read-ahead windows               |
 *     +---------------------------+-------------+----------------------------------+
 *       caches have whatever of all this is not in use, and give way to all of it
 *
 * - Memtables that are not flushed yet share 40 %. From 7/8 of that on the largest active memtable of all databases is
 *   flushed, unless enough is on its way already; at 40 % writes are held back.
 * - A database below its floor is never held back: an even part of another 10 %, and at least 256 KiB. So one whose store
 *   is away can fill the share, but not stop the others.
 * - A merge reserves its output tables and windows before it begins; together they have 25 %. One merge always runs.
 * - A read-ahead window takes at most an eighth of what is free, and one block where nothing is.
 * - A flush waits for nothing: it is what gives memory back.
 */
export interface MemoryLimits {
  /** Unflushed memtables of all databases together. */
  readonly memtableBytes: number
  /** Unflushed memtables of one database, below which it is left alone. */
  readonly floorBytes: number
  /** Reservations of merges. */
  readonly mergeBytes: number
}

const KIB = 1024
const MEMTABLE_SHARE = 0.4
const FLOOR_SHARE = 0.1
const MERGE_SHARE = 0.25
const WINDOW_SHARE = 1 / 8
const LEAST_FLOOR_BYTES = 256 * KIB
const LEAST_WINDOW_BYTES = 16 * KIB
const LEAST_MERGE_WINDOW_BYTES = 64 * KIB

export function memoryLimits(totalBytes: number, databases: number): MemoryLimits {
  return {
    memtableBytes: totalBytes * MEMTABLE_SHARE,
    floorBytes: Math.max(LEAST_FLOOR_BYTES, (totalBytes * FLOOR_SHARE) / Math.max(1, databases)),
    mergeBytes: totalBytes * MERGE_SHARE,
  }
}

/** The unflushed memtables of one database. */
export interface MemtableLoad {
  /** Of the one that takes writes; 0 when it is empty. */
  readonly activeBytes: number
  /** Of those that are full and wait for their flush. */
  readonly sealedBytes: number
  /** Whether the active one may join them now. */
  readonly maySeal: boolean
}

/** Whether a database must hold its writes back. */
export function mustHold(load: MemtableLoad, allBytes: number, limits: MemoryLimits): boolean {
  return allBytes >= limits.memtableBytes && load.activeBytes + load.sealedBytes >= limits.floorBytes
}

/** Which database is to flush its active memtable, because memory gets short; undefined: none, or none that it would help. */
export function pickFlush<Load extends MemtableLoad>(loads: readonly Load[], limits: MemoryLimits): Load | undefined {
  const active = loads.reduce((sum, load) => sum + load.activeBytes, 0)
  const sealed = loads.reduce((sum, load) => sum + load.sealedBytes, 0)
  if (active + sealed < limits.memtableBytes * (7 / 8)) return undefined
  // What is being flushed already leaves half of the room.
  if (active <= limits.memtableBytes / 2) return undefined
  let largest: Load | undefined
  for (const load of loads) {
    if (!load.maySeal || load.activeBytes < limits.floorBytes) continue
    if (largest === undefined || load.activeBytes > largest.activeBytes) largest = load
  }
  return largest
}

/** Which cache gives way: the largest, so that the caches of busy databases grow at the cost of idle ones. */
export function pickGiver<Cache extends { size(): number }>(caches: readonly Cache[]): Cache | undefined {
  let largest: Cache | undefined
  for (const cache of caches) if (cache.size() > (largest?.size() ?? 0)) largest = cache
  return largest
}

/** The read-ahead that a scan gets instead of `wantedBytes`. Always something: a scan that gets on gives memory back. */
export function readAheadBytes(wantedBytes: number, freeBytes: number): number {
  return Math.min(wantedBytes, Math.max(LEAST_WINDOW_BYTES, Math.floor(freeBytes * WINDOW_SHARE)))
}

/** What a merge needs: two outputs, and two windows for each of its inputs. */
export interface MergeNeed {
  readonly windowBytes: number
  readonly bytes: number
}

/** Windows as large as a reservation of the merges' whole share allows, between 64 KiB and `mostWindowBytes`. */
export function mergeNeed(outputBytes: number, runs: number, mostWindowBytes: number, limits: MemoryLimits): MergeNeed {
  const outputs = 2 * outputBytes
  const fair = Math.floor((limits.mergeBytes - outputs) / (2 * runs))
  const windowBytes = Math.min(mostWindowBytes, Math.max(LEAST_MERGE_WINDOW_BYTES, fair))
  return { windowBytes, bytes: outputs + 2 * runs * windowBytes }
}

/** Whether a merge may begin beside what other merges have reserved. One that is too large for the share runs alone. */
export function admitsMerge(bytes: number, reservedBytes: number, limits: MemoryLimits): boolean {
  return reservedBytes === 0 || reservedBytes + bytes <= limits.mergeBytes
}
