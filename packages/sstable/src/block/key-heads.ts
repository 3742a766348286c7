/*
 * Binary search over sorted keys spends its time on the bytes that all keys share and on cache misses. So a sorted
 * group of keys keeps its common prefix aside and, for each key, the four bytes behind that prefix as one integer:
 * nearly every step compares two integers in one small array.
 */

/**
 * Four bytes of a key from `start` on, big-endian, zeros behind its end; shifted so that signed integers compare like
 * the bytes do. Keys with equal heads still need comparing.
 */
export function keyHead(bytes: Uint8Array, start: number, end: number): number {
  if (start + 4 <= end) {
    return (
      (((bytes[start] as number) ^ 0x80) << 24) |
      ((bytes[start + 1] as number) << 16) |
      ((bytes[start + 2] as number) << 8) |
      (bytes[start + 3] as number)
    )
  }
  let head = -0x8000_0000
  let shift = 24
  for (let at = start; at < end; at++, shift -= 8) head ^= (bytes[at] as number) << shift
  return head
}

/** Length of the common prefix of `a[aStart, aEnd)` and `b[bStart, bEnd)`. */
export function sharedLength(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const limit = Math.min(aEnd - aStart, bEnd - bStart)
  let shared = 0
  while (shared < limit && a[aStart + shared] === b[bStart + shared]) shared++
  return shared
}

/**
 * Order of the first `prefixLength` bytes at `prefixStart` against a key: negative when all keys with that prefix come
 * before it, positive when they come after it, zero when it has the prefix, too.
 */
export function comparePrefix(
  bytes: Uint8Array,
  prefixStart: number,
  prefixLength: number,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
): number {
  const limit = Math.min(prefixLength, keyEnd - keyStart)
  for (let i = 0; i < limit; i++) {
    const difference = (bytes[prefixStart + i] as number) - (key[keyStart + i] as number)
    if (difference !== 0) return difference
  }
  return limit < prefixLength ? 1 : 0
}
