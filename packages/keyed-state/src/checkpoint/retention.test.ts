// Invariant: the newest checkpoint stays whatever it is; of the others go the expired, and those without a name beyond so many.
import { expect, test } from 'vitest'
import type { ListedCheckpoint } from './checkpoint-record.ts'
import { staleCheckpoints } from './retention.ts'

function listed(...checkpoints: [number: number, name?: string | undefined, expiresAt?: number][]): ListedCheckpoint[] {
  return checkpoints.map(([number, name, expiresAt]) => ({ id: `id-${number}`, number, name, engineName: '', createdAt: 0, expiresAt }))
}

const cases: [string, ListedCheckpoint[], number, number[]][] = [
  ['nothing', listed(), 1, []],
  ['the beginning alone', listed([0]), 1, []],
  ['the beginning, once there is a first one', listed([0], [1]), 3, [0]],
  ['unnamed ones beyond the number', listed([1], [2], [3], [4]), 2, [1, 2]],
  ['named ones stay and do not count', listed([1, 'a'], [2], [3, 'b'], [4], [5]), 2, [2]],
  ['expired ones, named or not', listed([1, 'a', 50], [2, undefined, 100], [3, 'c', 101], [4]), 5, [1, 2]],
  ['the newest, though it has expired', listed([1], [2, 'a', 5]), 1, []],
]

test.each(cases)('%s', (_, checkpoints, retain, gone) => {
  expect(staleCheckpoints(checkpoints, retain, 100).map(({ number }) => number)).toEqual(gone)
})
