// Invariant: a value comes back with its version and expiry, and damaged bytes are an error, never another value.
import { expect, test } from 'vitest'
import { FROM_FIRST_WATERMARK, NEVER } from './backend-time.ts'
import { canExpire, openEnvelope, wrapValue } from './envelope.ts'

test.each([1, 127, 128, 16_383, 16_384, 2 ** 31 - 1])('version %d', (version) => {
  for (const expiresAt of [NEVER, FROM_FIRST_WATERMARK, 0, -5, 1_700_000_000_000]) {
    for (const eventTime of [true, false]) {
      const payload = Uint8Array.of(1, 2, 3)
      const wrapped = wrapValue(version, expiresAt, eventTime, payload)
      const envelope = openEnvelope(wrapped)
      expect(envelope).toMatchObject({ version, expiresAt, eventTime })
      expect(wrapped.slice(envelope.payloadAt)).toEqual(payload)
      expect(canExpire(wrapped)).toBe(expiresAt !== NEVER)
    }
  }
})

test('what is no envelope throws', () => {
  for (const bytes of [[], [0], [0x20, 1], [0x10], [0x10, 0x80], [0x11, 1, 0, 0], [0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]) {
    expect(() => openEnvelope(Uint8Array.from(bytes)), String(bytes)).toThrow(RangeError)
  }
})
