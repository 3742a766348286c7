// Invariant: an envelope says when a value expires, and bytes that are none are CORRUPTION; a batch gets its times when it is written.
import { ByteWriter, isMoraineError } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { keyspacePrefix, storedKey } from '../key/keyspace.ts'
import { visitOperations } from './batch-codec.ts'
import { ENVELOPED, expiryOf, isBlobReference, KIND_MASK, LAST_EXPIRY_MS, NEVER, payloadStart, writeEnvelope } from './envelope.ts'
import { expiresAt, resolveExpiry } from './resolve-expiry.ts'
import { WriteBatch } from './write-batch.ts'

const TIMES = [NEVER, 0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 1_763_000_000_123, LAST_EXPIRY_MS]

describe('envelopes', () => {
  test.each(TIMES)('carry %d', (expiresAtMs) => {
    for (const blob of [false, true]) {
      const writer = new ByteWriter()
      writer.u8(99)
      writeEnvelope(writer, expiresAtMs, blob)
      const bytes = writer.bytes(Buffer.from('payload')).finish()
      expect(expiryOf(bytes, 1, bytes.length)).toBe(expiresAtMs)
      expect(isBlobReference(bytes, 1, bytes.length)).toBe(blob)
      expect(Buffer.from(bytes.slice(payloadStart(bytes, 1, bytes.length))).toString()).toBe('payload')
    }
  })

  test('a damaged first byte or a cut one is CORRUPTION or another sound envelope, never read past its end', () => {
    const writer = new ByteWriter()
    writeEnvelope(writer, 1_763_000_000_123, false)
    const whole = writer.finish()
    for (let end = 0; end < whole.length; end++) expect(() => expiryOf(whole, 0, end)).toThrow(/envelope/)
    for (let flags = 0; flags < 256; flags++) {
      const bytes = whole.slice()
      bytes[0] = flags
      try {
        expect([NEVER, 1_763_000_000_123]).toContain(expiryOf(bytes, 0, bytes.length))
        expect(flags).toBeLessThan(4)
      } catch (error) {
        expect(isMoraineError(error, 'CORRUPTION')).toBe(true)
        expect(flags).toBeGreaterThan(3)
      }
    }
  })
})

describe('resolveExpiry', () => {
  test('gives puts and merges their own time, or that of their keyspace, and leaves the rest alone', () => {
    const batch = new WriteBatch()
    batch.put('plain', 'v').put('own', 'v', { ttlMs: 5 }).put('ever', 'v', { ttlMs: Infinity, keyspace: 'short' })
    batch.put('k', 'v', { keyspace: 'short' }).merge('m', 'o', { keyspace: 'short' }).delete('d', { keyspace: 'short' })
    batch.deleteRange({}, { keyspace: 'short' })
    const resolved = resolveExpiry(batch.encoded(), 1_000, (name) => (name === 'short' ? 70 : NEVER))
    const found: unknown[] = []
    visitOperations(resolved, 'a batch', (kind, bytes, keyStart, keyEnd, start, end) => {
      const enveloped = kind >= ENVELOPED
      const value = bytes.slice(enveloped ? payloadStart(bytes, start, end) : start, end)
      found.push([kind & KIND_MASK, enveloped ? expiryOf(bytes, start, end) : NEVER, kind === 15 ? '' : Buffer.from(value).toString()])
      if (found.length === 4) expect(Buffer.from(bytes.slice(keyStart, keyEnd))).toEqual(Buffer.from(storedKey(keyspacePrefix('short'), Buffer.from('k'))))
    })
    expect(found).toEqual([[1, NEVER, 'v'], [1, 1_005, 'v'], [1, NEVER, 'v'], [1, 1_070, 'v'], [2, 1_070, 'o'], [0, NEVER, ''], [15, NEVER, '']])
  })

  test('no time is past the last one', () => {
    expect(expiresAt(LAST_EXPIRY_MS - 1, 5)).toBe(LAST_EXPIRY_MS)
    expect(expiresAt(5, NEVER)).toBe(NEVER)
  })
})
