import { MoraineError } from '@moraine/base'
import type { GetOptions, ListOptions } from './object-store.ts'

/** The most objects one list page or one delete request holds: the limit of S3. */
export const MAX_PAGE_KEYS = 1000

/** Throws INVALID unless the range is made of whole numbers of bytes that are not negative. */
export function checkRange(range: GetOptions['range']): void {
  if (range === undefined) return
  const numbers = 'suffix' in range ? [range.suffix] : [range.offset, range.length]
  if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 0)) {
    throw new MoraineError(
      'INVALID',
      `a range is { offset, length } or { suffix } in whole bytes, not ${JSON.stringify(range)}`,
    )
  }
}

/** The bytes [start, end) that a checked range means in an object of `sizeBytes`. */
export function resolveRange(range: GetOptions['range'], sizeBytes: number): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: sizeBytes }
  if ('suffix' in range) return { start: Math.max(0, sizeBytes - range.suffix), end: sizeBytes }
  const start = Math.min(range.offset, sizeBytes)
  return { start, end: Math.min(start + range.length, sizeBytes) }
}

/** The page size that list options ask for; throws INVALID when it is not 1 to 1000. */
export function checkMaxKeys(options: ListOptions | undefined): number {
  const maxKeys = options?.maxKeys ?? MAX_PAGE_KEYS
  if (!Number.isInteger(maxKeys) || maxKeys < 1 || maxKeys > MAX_PAGE_KEYS) {
    throw new MoraineError('INVALID', `maxKeys must be a whole number from 1 to ${MAX_PAGE_KEYS}, not ${maxKeys}`)
  }
  return maxKeys
}
