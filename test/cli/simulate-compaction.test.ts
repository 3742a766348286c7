// Invariant: moraine simulate-compaction prints figures that follow from its options alone, and refuses options that open() would.
import { beforeAll, expect, test } from 'vitest'
import { buildCli, runScript } from './run-script.ts'

beforeAll(() => buildCli(), 120_000)

const SMALL = ['--writes=20000', '--keys=5000', '--value-size=1000', '--memtable-size=1MB', '--level-base-size=4MB', '--file-size=1MB']

function simulate(...args: string[]): ReturnType<typeof runScript> {
  return runScript('moraine', 'simulate-compaction', ...SMALL, ...args)
}

test('leveled and tiered, as text and as JSON', async () => {
  const [text, leveled, again, tiered] = await Promise.all([
    simulate(),
    simulate('--json'),
    simulate('--json'),
    simulate('--json', '--style=tiered', '--max-sorted-runs=5'),
  ])
  expect([text.code, text.stderr, tiered.code, tiered.stderr]).toEqual([0, '', 0, ''])
  expect(text.stdout).toMatch(/^write amplification +\d+\.\d\d$/m)
  expect(text.stdout).toMatch(/^ +TIME +WRITES +FLUSHED/m)
  expect(leveled.stdout).toBe(again.stdout)
  const [one, other] = [JSON.parse(leveled.stdout), JSON.parse(tiered.stdout)]
  expect(one).toMatchObject({ style: 'leveled', writes: 20_000 })
  expect(other.writeAmplification).toBeLessThan(one.writeAmplification)
  expect(other.reasons['level-size']).toBeUndefined()
})

test('a load in key order is never rewritten', async () => {
  const { stdout } = await simulate('--key-distribution=sequential', '--json')
  expect(JSON.parse(stdout)).toMatchObject({ writeAmplification: 1, compactedBytes: 0 })
})

test.each([
  [['--style=flat'], /--style is leveled or tiered/],
  [['--size-ratio=10'], /go with --style=tiered/],
  [['--memtable-size=12'], /memtableSizeBytes/],
  [['--value-size=ten'], /takes a size like/],
  [['--level0-trigger=9', '--level0-stop=9'], /level0StopTrigger/],
  [['--writes=99999999'], /at most 10000000/],
  [['s3://bucket/db'], /takes options only/],
])('wrong command line %j', async (args, message) => {
  const { code, stdout, stderr } = await simulate(...args)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(message)
})
