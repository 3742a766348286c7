import { ByteWriter } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { keyspaceOf, prefixLength } from '../key/keyspace.ts'
import { encodeOperation, visitOperations } from './batch-codec.ts'
import { ENVELOPED, expiryOf, KIND_MASK, LAST_EXPIRY_MS, NEVER, payloadStart, writeEnvelope } from './envelope.ts'

/** How long entries of a keyspace live that do not say so themselves; {@link NEVER} for ever. */
export type DefaultTtl = (keyspace: string) => number

/** The wall-clock millisecond at which an entry written now expires. */
export function expiresAt(nowMs: number, ttlMs: number): number {
  return ttlMs === NEVER ? NEVER : Math.min(nowMs + ttlMs, LAST_EXPIRY_MS)
}

/**
 * The operations of a batch with absolute expiries, at the moment of its writing: a batch carries its times to live as it
 * was given them, and knows nothing of those of its keyspaces.
 */
export function resolveExpiry(operations: Uint8Array, nowMs: number, defaultTtl: DefaultTtl): Uint8Array {
  const resolved = new ByteWriter(operations.length + 64)
  const value = new ByteWriter(64)
  visitOperations(operations, 'a write batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
    const plain = kind & KIND_MASK
    let ttlMs = NEVER
    let from = valueStart
    if (kind !== plain) {
      ttlMs = expiryOf(bytes, valueStart, valueEnd)
      from = payloadStart(bytes, valueStart, valueEnd)
    } else if (plain === EntryKind.put || plain === EntryKind.merge) {
      const named = prefixLength(bytes, keyStart, keyEnd) > 0
      ttlMs = defaultTtl(named ? keyspaceOf(bytes.subarray(keyStart, keyEnd)) : '')
    }
    if (ttlMs === NEVER) {
      encodeOperation(resolved, plain, bytes, keyStart, keyEnd, bytes, from, valueEnd)
      return
    }
    value.clear()
    writeEnvelope(value, expiresAt(nowMs, ttlMs), false)
    value.range(bytes, from, valueEnd)
    const enveloped = value.view()
    encodeOperation(resolved, plain | ENVELOPED, bytes, keyStart, keyEnd, enveloped, 0, enveloped.length)
  })
  return resolved.view()
}
