// What the tests of this folder share: settings small enough that a few writes reach every mechanism, and the two
// questions they ask all the time: what does a database hold, and which error did a call end with.
import { isMoraineError, utf8Decode } from '@moraine/base'
import type { Db, OpenOptions, ScanOptions } from 'moraine'

/** A few hundred writes fill memtables, levels and caches; nothing happens by itself after a time. */
export const SMALL: OpenOptions = {
  wal: 'none',
  memtableSizeBytes: 256 * 1024,
  blockSizeBytes: 1024,
  targetFileSizeBytes: 4 * 1024,
  levelBaseSizeBytes: 8 * 1024,
  levelSizeMultiplier: 2,
  level0CompactionTrigger: 2,
  level0StopTrigger: 6,
  blockCacheSizeBytes: 32 * 1024,
  metadataCacheSizeBytes: 8 * 1024,
  fenceCheckIntervalMs: 0,
}

/** Without background compaction, so that the store calls of a test are the ones it names. */
export const QUIET: OpenOptions = {
  ...SMALL,
  level0CompactionTrigger: 1000,
  level0StopTrigger: 1001,
  levelBaseSizeBytes: 1024 * 1024 * 1024,
}

/** A local log for `SMALL`: survives a killed process, costs no sync. */
export function localLog(folder: string): OpenOptions {
  return { wal: { kind: 'local', folder, sync: 'never' } }
}

/** Everything in a database, as text. */
export async function contents(db: Db, options?: ScanOptions): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const [key, value] of db.scan(options)) found[utf8Decode(key)] = utf8Decode(value)
  return found
}

export async function textOf(value: Promise<Uint8Array | undefined>): Promise<string | undefined> {
  const bytes = await value
  return bytes === undefined ? undefined : utf8Decode(bytes)
}

/** `ok`, or the code of the MoraineError that the call rejected with; any other rejection passes through. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return 'ok'
  } catch (error) {
    if (!isMoraineError(error)) throw error
    return error.code
  }
}

/** Entries `from` to `to - 1` of a numbered series: keys sort by number, values are of the given size. */
export function numbered(from: number, to: number, valueBytes = 20): [key: string, value: string][] {
  return Array.from({ length: to - from }, (_, i) => {
    const n = from + i
    return [`key-${String(n).padStart(6, '0')}`, `value-${n}-`.padEnd(valueBytes, '.')]
  })
}

export async function putAll(db: Db, entries: readonly [string, string][]): Promise<void> {
  await Promise.all(entries.map(([key, value]) => db.put(key, value)))
}
