import type { Manifest, TableFile } from 'moraine/inspect'
import { type BytesNotation, formatBytesAs } from '../text/bytes-notation.ts'

/** A manifest as plain data: everything it says, with the keys in a notation. */
export function manifestJson(manifest: Manifest, notation: BytesNotation): object {
  const { version, base, walId, ...head } = manifest
  return {
    ...head,
    walId: walId ?? null,
    base: base ?? null,
    levels: version.levels.map((files, level) => ({ level, files: files.map((file) => tableFileJson(file, notation)) })),
  }
}

export function tableFileJson(file: TableFile, notation: BytesNotation): object {
  const { smallestKey, largestKey, range, ...rest } = file
  const shown = { ...rest, smallestKey: formatBytesAs(smallestKey, notation), largestKey: formatBytesAs(largestKey, notation) }
  if (range === undefined) return shown
  const bound = (key: Uint8Array | undefined): string | null => (key === undefined ? null : formatBytesAs(key, notation))
  return { ...shown, range: { gte: bound(range.gte), lt: bound(range.lt) } }
}
