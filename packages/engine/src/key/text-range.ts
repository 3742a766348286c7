import { printableBytes } from '@moraine/base'
import type { KeyRange } from './key-range.ts'
import { keyspaceEnd, keyspaceOf, keyspacePrefix, userKey } from './keyspace.ts'
import { EMPTY_TEXT, keyOfText, type KeyText, keyText } from './key-text.ts'

/** A half-open range of keys, `[gte, lt)`, as text; without `lt` it goes on to the last key. */
export interface TextRange {
  readonly gte: KeyText
  readonly lt: KeyText | undefined
}

export function textRange({ gte, lt }: KeyRange): TextRange {
  return { gte: gte === undefined ? EMPTY_TEXT : keyText(gte), lt: lt === undefined ? undefined : keyText(lt) }
}

export function holdsText(range: TextRange, text: KeyText): boolean {
  return text >= range.gte && (range.lt === undefined || text < range.lt)
}

/** True when some key can be in both. */
function rangesMeet(a: TextRange, b: TextRange): boolean {
  return !isEmpty(a) && !isEmpty(b) && (b.lt === undefined || a.gte < b.lt) && (a.lt === undefined || b.gte < a.lt)
}

/** The same keys as ranges that neither touch nor overlap, in order: what the searches below need. */
export function mergeRanges(ranges: readonly TextRange[]): TextRange[] {
  const merged: { gte: KeyText; lt: KeyText | undefined }[] = []
  for (const { gte, lt } of ranges.filter((range) => !isEmpty(range)).sort((a, b) => (a.gte < b.gte ? -1 : a.gte > b.gte ? 1 : 0))) {
    const last = merged.at(-1)
    if (last === undefined || (last.lt !== undefined && last.lt < gte)) merged.push({ gte, lt })
    else if (last.lt !== undefined && (lt === undefined || lt > last.lt)) last.lt = lt
  }
  return merged
}

/** The one of merged ranges that holds the key. */
export function rangeHolding(merged: readonly TextRange[], text: KeyText): TextRange | undefined {
  const range = merged[lastStartingBy(merged, text)]
  return range !== undefined && holdsText(range, text) ? range : undefined
}

/** The first of merged ranges that has a key in common with `other`. */
export function rangeMeeting(merged: readonly TextRange[], other: TextRange): TextRange | undefined {
  const before = Math.max(0, lastStartingBy(merged, other.gte))
  return merged.slice(before, before + 2).find((range) => rangesMeet(range, other))
}

/** A range of stored keys of one keyspace as a person wants to read it. */
export function printableRange({ gte, lt }: TextRange): string {
  const prefix = keyspacePrefix(keyspaceOf(keyOfText(gte)))
  const from = gte.length === prefix.length ? 'the first key' : `'${printableText(gte)}'`
  if (lt === undefined || lt === keyText(keyspaceEnd(prefix))) return `from ${from} on`
  return `from ${from} to before '${printableBytes(userKey(prefix, keyOfText(lt)))}'`
}

/** A stored key as users know it. */
export function printableText(text: KeyText): string {
  const stored = keyOfText(text)
  return printableBytes(userKey(keyspacePrefix(keyspaceOf(stored)), stored))
}

function isEmpty({ gte, lt }: TextRange): boolean {
  return lt !== undefined && lt <= gte
}

/** Position of the last range that starts at or before the key; -1 when none does. */
function lastStartingBy(merged: readonly TextRange[], text: KeyText): number {
  let low = 0
  let high = merged.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((merged[middle] as TextRange).gte <= text) low = middle + 1
    else high = middle
  }
  return low - 1
}
