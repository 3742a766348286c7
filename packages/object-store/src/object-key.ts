import { MoraineError } from '@moraine/base'

/** Longest key in UTF-8 bytes: the limit of S3. */
export const MAX_KEY_BYTES = 1024

/** Longest segment (between two `/`) in UTF-8 bytes: what folders, and the servers built on them, can name. */
export const MAX_KEY_SEGMENT_BYTES = 255

/**
 * Throws INVALID unless `key` is a name that every store can hold: 1 to 1024 bytes of well-formed text without control
 * characters, whose `/`-separated segments are not empty, not `.` or `..`, and at most 255 bytes each.
 */
export function checkKey(key: string): void {
  checkText(key, 'key')
  if (key.length === 0) throw invalidKey(key, 'it is empty')
  checkSegments(key.split('/'), key)
}

/** Throws INVALID unless some valid key can start with `prefix`. The empty prefix is valid: it names every object. */
export function checkPrefix(prefix: string): void {
  checkText(prefix, 'prefix')
  const segments = prefix.split('/')
  // The text after the last slash is the beginning of a segment, so that `.` there may go on to be `.hidden`.
  segments.pop()
  checkSegments(segments, prefix)
}

/**
 * Order of keys by their UTF-8 bytes, the order of S3 listings. It differs from the order of JavaScript strings only
 * where a surrogate pair (above U+FFFF) meets a code unit of U+E000 to U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return codePointRank(left) - codePointRank(right)
  }
  return a.length - b.length
}

function codePointRank(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit
  return codeUnit >= 0xe000 ? codeUnit - 0x800 : codeUnit + 0x2000
}

function checkText(text: string, what: 'key' | 'prefix'): void {
  if (typeof text !== 'string') {
    throw new MoraineError('INVALID', `an object ${what} must be a string, not ${text === null ? 'null' : typeof text}`)
  }
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_KEY_BYTES) {
    throw new MoraineError('INVALID', `an object ${what} has at most ${MAX_KEY_BYTES} bytes, this one has ${bytes}`)
  }
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 || unit === 0x7f) throw invalidKey(text, 'it holds a control character')
  }
  if (/\p{Surrogate}/u.test(text)) throw invalidKey(text, 'it holds half of a surrogate pair')
}

function checkSegments(segments: readonly string[], key: string): void {
  for (const segment of segments) {
    if (segment === '') throw invalidKey(key, 'it has an empty segment (a slash at an end, or two in a row)')
    if (segment === '.' || segment === '..') throw invalidKey(key, `it has the segment '${segment}'`)
    if (segment.length * 3 > MAX_KEY_SEGMENT_BYTES && Buffer.byteLength(segment) > MAX_KEY_SEGMENT_BYTES) {
      throw invalidKey(key, `it has a segment of more than ${MAX_KEY_SEGMENT_BYTES} bytes`)
    }
  }
}

function invalidKey(key: string, why: string): MoraineError {
  return new MoraineError('INVALID', `${JSON.stringify(key)} cannot name an object: ${why}`, { detail: { key } })
}
