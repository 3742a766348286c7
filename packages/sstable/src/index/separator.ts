/**
 * The shortest user key s with last <= s < next, for `last` < `next`: what the index stores between two blocks.
 * Returns the length and, when the final byte differs from `last`'s, that byte:  s = last[0, length - 1) + finalByte.
 * A `length` of lastLength with `finalByte` undefined means that nothing shorter exists and s is `last` itself.
 */
export interface Separator {
  readonly length: number
  readonly finalByte: number | undefined
}

export function shortestSeparator(
  last: Uint8Array,
  lastLength: number,
  next: Uint8Array,
  nextStart: number,
  nextEnd: number,
): Separator {
  const limit = Math.min(lastLength, nextEnd - nextStart)
  let at = 0
  while (at < limit && last[at] === next[nextStart + at]) at++
  if (at < limit) {
    // One more than the first byte that differs, if that stays below next; else the next byte of `last` that can grow.
    const byte = last[at] as number
    const bound = next[nextStart + at] as number
    if (byte + 1 < bound || (byte + 1 === bound && at + 1 < nextEnd - nextStart)) {
      if (at + 1 < lastLength) return { length: at + 1, finalByte: byte + 1 }
    } else {
      for (let i = at + 1; i + 1 < lastLength; i++) {
        if (last[i] !== 0xff) return { length: i + 1, finalByte: (last[i] as number) + 1 }
      }
    }
  }
  return { length: lastLength, finalByte: undefined }
}
