import { MoraineError, utf8Encode } from '@moraine/base'

export const MAX_KEY_BYTES = 65_535
/** A hundred years. */
export const MAX_TTL_MS: number = 100 * 365 * 86_400_000
export const MAX_VALUE_BYTES: number = 1024 * 1024 * 1024

/** What callers may pass for a key or a value: bytes, or text that is stored as UTF-8. */
export type Bytes = Uint8Array | string

/** UTF-8 has no bytes for half a surrogate pair: it would be stored as another character, and two keys become one. */
export function checkText(text: string, what: string): void {
  if (!text.isWellFormed()) {
    throw new MoraineError('INVALID', `${what} is text with a lone surrogate, which UTF-8 cannot express; pass it as bytes`)
  }
}

/** The bytes of a key; INVALID when it is not bytes or text, or longer than {@link MAX_KEY_BYTES}. */
export function keyBytes(key: Bytes): Uint8Array {
  if (typeof key === 'string') checkText(key, 'the key')
  const bytes = typeof key === 'string' ? utf8Encode(key) : key
  if (!(bytes instanceof Uint8Array)) {
    throw new MoraineError('INVALID', `a key must be a Uint8Array or a string, not ${describeType(key)}`)
  }
  if (bytes.length > MAX_KEY_BYTES) {
    throw new MoraineError('INVALID', `a key may have at most ${MAX_KEY_BYTES} bytes; this one has ${bytes.length}`, {
      detail: { keyBytes: bytes.length },
    })
  }
  return bytes
}

/** The bytes of a value; INVALID when it is not bytes or text, or larger than {@link MAX_VALUE_BYTES}. */
export function valueBytes(value: Bytes): Uint8Array {
  if (typeof value === 'string') checkText(value, 'the value')
  const bytes = typeof value === 'string' ? utf8Encode(value) : value
  if (!(bytes instanceof Uint8Array)) {
    throw new MoraineError('INVALID', `a value must be a Uint8Array or a string, not ${describeType(value)}`)
  }
  if (bytes.length > MAX_VALUE_BYTES) {
    throw new MoraineError('INVALID', `a value may have at most 1 GiB; this one has ${bytes.length} bytes`, {
      detail: { valueBytes: bytes.length },
    })
  }
  return bytes
}

/** INVALID unless it is a number of milliseconds from 1 to {@link MAX_TTL_MS}, or Infinity for an entry that never expires. */
export function checkTtl(ttlMs: number): void {
  if (ttlMs === Number.POSITIVE_INFINITY || (Number.isSafeInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MAX_TTL_MS)) return
  throw new MoraineError('INVALID', `ttlMs must be a whole number of milliseconds from 1 to ${MAX_TTL_MS}, or Infinity, not ${String(ttlMs)}`, {
    detail: { option: 'ttlMs' },
  })
}

function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'object' ? `a ${value?.constructor?.name ?? 'object'}` : `a ${typeof value}`
}
