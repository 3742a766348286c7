/**
 * Bytewise (unsigned, lexicographic) comparison, the one key order of Moraine: the order of RocksDB's
 * BytewiseComparator. A plain loop beats `Buffer.compare` for keys of usual length, because a native call costs
 * more than the loop.
 */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, 0, a.length, b, 0, b.length)
}

/** Compares `a[aStart, aEnd)` with `b[bStart, bEnd)`; negative, zero or positive. */
export function compareRanges(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  const shared = aLength < bLength ? aLength : bLength
  for (let i = 0; i < shared; i++) {
    const difference = (a[aStart + i] as number) - (b[bStart + i] as number)
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && compareRanges(a, 0, a.length, b, 0, b.length) === 0
}

/** Number of leading bytes that both share. */
export function commonPrefixLength(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length)
  let i = 0
  while (i < shared && a[i] === b[i]) i++
  return i
}

/**
 * The smallest byte string greater than every string that starts with `prefix`, or undefined when there is none
 * (an empty prefix, or one made of 0xff only).
 */
export function prefixSuccessor(prefix: Uint8Array): Uint8Array | undefined {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end--
  if (end === 0) return undefined
  const successor = prefix.slice(0, end)
  successor[end - 1] = (successor[end - 1] as number) + 1
  return successor
}
