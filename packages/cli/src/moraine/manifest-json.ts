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
  const { smallestKey, largestKey, ...rest } = file
  return { ...rest, smallestKey: formatBytesAs(smallestKey, notation), largestKey: formatBytesAs(largestKey, notation) }
}
