import { compareBytes, MoraineError } from '@moraine/base'
import { keyspaceEnd, storedKey } from '../key/keyspace.ts'
import { type Bytes, keyBytes } from './limits.ts'

/** A range of keys as callers give it: `[gte, lt)`, a missing side is open. */
export interface UserRange {
  readonly gte?: Bytes
  readonly lt?: Bytes
}

/** The stored keys of a range of one keyspace; both bounds are there, and copies. INVALID when they are upside down. */
export function storedRange(call: string, range: UserRange, prefix: Uint8Array): { gte: Uint8Array; lt: Uint8Array } {
  if (typeof range !== 'object' || range === null || Array.isArray(range)) {
    throw new MoraineError('INVALID', `${call} takes a range { gte, lt }`)
  }
  for (const name of Object.keys(range)) {
    if (name === 'gte' || name === 'lt') continue
    throw new MoraineError('INVALID', `a range of ${call} has no '${name}'; it knows gte and lt`, { detail: { option: name } })
  }
  const gte = range.gte === undefined ? prefix.slice() : storedKey(prefix, keyBytes(range.gte)).slice()
  const lt = range.lt === undefined ? keyspaceEnd(prefix) : storedKey(prefix, keyBytes(range.lt)).slice()
  if (compareBytes(gte, lt) > 0) throw new MoraineError('INVALID', `${call}: gte is above lt`)
  return { gte, lt }
}
