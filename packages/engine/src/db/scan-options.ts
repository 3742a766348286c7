import { type CallLimits, MoraineError } from '@moraine/base'
import { type Bytes, keyBytes } from '../batch/limits.ts'
import { keyspaceEnd, storedKey } from '../key/keyspace.ts'
import { intersectRanges, keyAfter, type KeyRange, prefixRange } from '../key/key-range.ts'
import { limitChecks } from './call-options.ts'
import { booleanOption, checkOptions, integerOption, type OptionCheck, type OptionChecks } from './option-checks.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * What to scan. Bounds may be combined; the scan gives the keys that satisfy all of them, in bytewise order. `timeoutMs` is
 * for each wait for further entries: what the caller does between them does not count.
 */
export interface ScanOptions extends CallLimits {
  readonly gt?: Bytes
  readonly gte?: Bytes
  readonly lt?: Bytes
  readonly lte?: Bytes
  /** Only keys that start with these bytes. */
  readonly prefix?: Bytes
  /** From the last key to the first. */
  readonly reverse?: boolean
  /** Most entries to give; default all. */
  readonly limit?: number
  /** Read at this snapshot instead of the present. */
  readonly snapshot?: Snapshot
  /** Only writes that survive the loss of this machine: see `ReadOptions`. */
  readonly durable?: boolean
}

const bytesOption: OptionCheck = (value) =>
  typeof value === 'string' || value instanceof Uint8Array ? undefined : 'a Uint8Array or a string'

const anything: OptionCheck = () => undefined

const checks: OptionChecks<ScanOptions> = {
  gt: bytesOption,
  gte: bytesOption,
  lt: bytesOption,
  lte: bytesOption,
  prefix: bytesOption,
  reverse: booleanOption,
  limit: (value) => (value === Number.POSITIVE_INFINITY ? undefined : integerOption(0, Number.MAX_SAFE_INTEGER)(value)),
  snapshot: anything,
  durable: booleanOption,
  ...limitChecks,
}

export function checkScanOptions(options: ScanOptions): void {
  checkOptions('scan', options, checks)
}

/** The half-open range of stored keys that a scan's bounds describe in a keyspace. The bytes are copies. */
export function scanRange(options: ScanOptions, prefix: Uint8Array): KeyRange {
  const { gte, lt } = userRange(options)
  return {
    gte: gte === undefined ? prefix : storedKey(prefix, gte),
    lt: lt === undefined ? keyspaceEnd(prefix) : storedKey(prefix, lt),
  }
}

function userRange(options: ScanOptions): KeyRange {
  let range: KeyRange = {}
  if (options.prefix !== undefined) range = prefixRange(keyBytes(options.prefix).slice())
  if (options.gte !== undefined) range = intersectRanges(range, { gte: keyBytes(options.gte).slice() })
  if (options.gt !== undefined) range = intersectRanges(range, { gte: keyAfter(keyBytes(options.gt)) })
  if (options.lt !== undefined) range = intersectRanges(range, { lt: keyBytes(options.lt).slice() })
  if (options.lte !== undefined) range = intersectRanges(range, { lt: keyAfter(keyBytes(options.lte)) })
  return range
}

/** Flushes and compacts a range of a keyspace; with an undefined prefix, everything. */
export async function compactUserRange(
  engine: { flush(signal?: AbortSignal): Promise<void>; compactRange(range: KeyRange): Promise<void> },
  prefix: Uint8Array | undefined,
  range: { gte?: Bytes; lt?: Bytes } | undefined,
  signal?: AbortSignal,
): Promise<void> {
  const keys = plainRange('compact', range)
  await engine.flush(signal)
  if (prefix === undefined) return await engine.compactRange(keys)
  await engine.compactRange({
    gte: keys.gte === undefined ? prefix : storedKey(prefix, keys.gte),
    lt: keys.lt === undefined ? keyspaceEnd(prefix) : storedKey(prefix, keys.lt),
  })
}

/** A range of user keys: `{ gte, lt }`, both optional. */
export function plainRange(call: string, range: { gte?: Bytes; lt?: Bytes } = {}): KeyRange {
  checkOptions(call, range, { gte: bytesOption, lt: bytesOption })
  const gte = range.gte === undefined ? undefined : keyBytes(range.gte).slice()
  const lt = range.lt === undefined ? undefined : keyBytes(range.lt).slice()
  if (gte !== undefined && lt !== undefined && Buffer.compare(gte, lt) > 0) {
    throw new MoraineError('INVALID', `${call}: gte is above lt`)
  }
  return { gte, lt }
}
