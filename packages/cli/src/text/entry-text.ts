import type { SstEntry } from '@moraine/sstable'
import { type BytesNotation, formatBytesAs, quoted } from './bytes-notation.ts'
import { hasValue, kindName } from './kind-name.ts'

/** `'key' seq:7, type:put => 'value'`; an entry that only deletes ends after its type. */
export function entryText({ key, seq, kind, value }: SstEntry, notation: BytesNotation): string {
  const head = `${quoted(key, notation)} seq:${seq}, type:${kindName(kind)}`
  return hasValue(kind) || value.length > 0 ? `${head} => ${quoted(value, notation)}` : head
}

/** The same as an object for JSON; keys and values are in the notation, without quotes of their own. */
export function entryJson({ key, seq, kind, value }: SstEntry, notation: BytesNotation): Record<string, string | number> {
  const head = { key: formatBytesAs(key, notation), seq, type: kindName(kind) }
  return hasValue(kind) || value.length > 0 ? { ...head, value: formatBytesAs(value, notation) } : head
}
