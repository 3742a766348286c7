/**
 * MurmurHash3 x86 32-bit of `bytes[start, end)`: fast in plain JavaScript for short keys, where a call into native
 * code costs more than the hash. Not for adversarial input. Result is unsigned.
 */
export function murmur3(bytes: Uint8Array, start = 0, end: number = bytes.length, seed = 0): number {
  let hash = seed | 0
  const length = end - start
  const blocksEnd = start + (length & ~3)
  let at = start
  for (; at < blocksEnd; at += 4) {
    let k =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    k = Math.imul(k, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    hash ^= Math.imul(k, 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  const left = length & 3
  if (left === 3) tail ^= (bytes[at + 2] as number) << 16
  if (left >= 2) tail ^= (bytes[at + 1] as number) << 8
  if (left >= 1) {
    tail ^= bytes[at] as number
    tail = Math.imul(tail, 0xcc9e2d51)
    tail = (tail << 15) | (tail >>> 17)
    hash ^= Math.imul(tail, 0x1b873593)
  }
  hash ^= length
  hash ^= hash >>> 16
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  hash ^= hash >>> 16
  return hash >>> 0
}
