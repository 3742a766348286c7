import { MoraineError, murmur3 } from '@moraine/base'

/**
 * The unit of rescaling. A key belongs to group `murmur3(bytes of the key, seed 0) % total`, with the bytes that the key
 * codec gives and MurmurHash3 x86 32-bit, unsigned. The total is fixed when a database is created, so a key never changes
 * its group; a database holds a contiguous range of groups.
 */
export interface KeyGroupRange {
  readonly total: number
  readonly first: number
  /** Included. */
  readonly last: number
}

export const DEFAULT_KEY_GROUPS = 128
/** Two bytes with the upper half left to what belongs to no group. */
export const MOST_KEY_GROUPS = 32_768

export function keyGroupOf(encodedKey: Uint8Array, total: number): number {
  return murmur3(encodedKey) % total
}

/** The groups that target `index` of `targets` gets. */
export function groupsOfTarget(total: number, index: number, targets: number): KeyGroupRange {
  return { total, first: Math.ceil((index * total) / targets), last: Math.ceil(((index + 1) * total) / targets) - 1 }
}

export function sameGroups(a: KeyGroupRange, b: KeyGroupRange): boolean {
  return a.total === b.total && a.first === b.first && a.last === b.last
}

export function spellGroups({ first, last, total }: KeyGroupRange): string {
  return `key groups ${first} to ${last} of ${total}`
}

/** INVALID unless it is a range that can be. */
export function checkKeyGroups(range: KeyGroupRange): void {
  const { total, first, last } = range
  const whole = [total, first, last].every((value) => Number.isSafeInteger(value))
  if (whole && total >= 1 && total <= MOST_KEY_GROUPS && first >= 0 && first <= last && last < total) return
  throw new MoraineError(
    'INVALID',
    `keyGroups must be { total, first, last } with 1 <= total <= ${MOST_KEY_GROUPS} and 0 <= first <= last < total, not ${JSON.stringify(range)}`,
  )
}

/** INVALID: a key that this database does not hold. */
export function foreignKey(key: string, group: number, range: KeyGroupRange): MoraineError {
  return new MoraineError(
    'INVALID',
    `key ${key} is in key group ${group}, and this backend holds ${spellGroups(range)}: send the key to the backend that holds its group`,
    { detail: { keyGroup: group, first: range.first, last: range.last } },
  )
}
