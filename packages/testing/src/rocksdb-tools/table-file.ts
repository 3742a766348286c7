import { readFileSync } from 'node:fs'
import { defaultSstWriterSettings, EntryKind, type RandomAccess, type SstSummary, SstWriter, type SstWriterSettings } from '@moraine/sstable'

/** An entry to write; the value of a range tombstone is its end. */
export interface TableEntry {
  readonly key: Uint8Array
  readonly seq: number
  readonly kind: number
  readonly value: Uint8Array
}

/** A whole table in memory. `entries` are in internal order; range tombstones stand anywhere between them. */
export function writeTable(
  entries: Iterable<TableEntry>,
  settings: Partial<SstWriterSettings> = {},
): { file: Uint8Array; summary: SstSummary } {
  const chunks: Uint8Array[] = []
  const writer = new SstWriter({ ...defaultSstWriterSettings, ...settings }, (chunk) => chunks.push(chunk))
  for (const { key, seq, kind, value } of entries) {
    if (kind === EntryKind.deleteRange) writer.addRangeTombstone(key, value, seq)
    else writer.add(key, 0, key.length, seq, kind, value, 0, value.length)
  }
  const summary = writer.finish()
  return { file: new Uint8Array(Buffer.concat(chunks)), summary }
}

export function accessBytes(bytes: Uint8Array): RandomAccess {
  return {
    sizeBytes: bytes.length,
    read: (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length)),
  }
}

export function accessFile(path: string): RandomAccess {
  return accessBytes(new Uint8Array(readFileSync(path)))
}
