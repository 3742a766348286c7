import { compareBytes } from '@moraine/base'
import type { KeyRange } from '../key/key-range.ts'
import type { TableFile } from '../manifest/table-file.ts'

/**
 * Splits the keys of some tables into consecutive ranges of about the same number of bytes, each of at least
 * `leastBytes`, for merges that can be done side by side. Ranges begin where tables do, because that is all that is known
 * without reading. Together they cover every key; at least one, at most `most`.
 */
export function splitMerge(files: readonly TableFile[], most: number, leastBytes: number): KeyRange[] {
  const total = files.reduce((bytes, file) => bytes + file.rawBytes, 0)
  const wanted = Math.max(leastBytes, total / most)
  const ordered = [...files].sort((a, b) => compareBytes(a.smallestKey, b.smallestKey))
  const ranges: KeyRange[] = []
  let gte: Uint8Array | undefined
  let start = ordered[0]?.smallestKey
  let bytes = 0
  let left = total
  for (const file of ordered) {
    const { smallestKey } = file
    const full = bytes >= wanted && left >= leastBytes && ranges.length < most - 1
    if (full && compareBytes(smallestKey, start as Uint8Array) > 0) {
      ranges.push({ gte, lt: smallestKey })
      gte = smallestKey
      start = smallestKey
      bytes = 0
    }
    bytes += file.rawBytes
    left -= file.rawBytes
  }
  ranges.push({ gte, lt: undefined })
  return ranges
}
