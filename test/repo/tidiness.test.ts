// Invariant: every file has a name that says what it holds and a size one can read, no test is switched off in silence, and
// nothing committed depends on one machine or one registry.
import { describe, expect, test } from 'vitest'
import { sourceFiles, textFiles } from './checkout.ts'
import { parseSource } from './source-file.ts'
import { foreignPlaces, lockedAddresses, longFiles, namelessFiles, silencedTests } from './tidiness.ts'

describe('this checkout', () => {
  const texts = textFiles()
  const files = sourceFiles(texts)

  test('names its files after what they hold', () => {
    expect(namelessFiles(texts.map(({ path }) => path))).toEqual([])
  })

  test('keeps its files short', () => {
    expect(longFiles(files)).toEqual([])
  })

  test('switches no test off in silence', () => {
    expect(silencedTests(files)).toEqual([])
  })

  test('names no registry and no machine', () => {
    expect(foreignPlaces(texts)).toEqual([])
  })

  test('locks versions, not addresses', () => {
    expect(texts.filter(({ path }) => path === 'package-lock.json').flatMap(lockedAddresses)).toEqual([])
  })
})

test.each(['a/utils.ts', 'a/util.test.ts', 'a/helpers/b.ts', 'common.ts', 'misc.md', 'types.d.ts'])('%s is nameless', (path) => {
  expect(namelessFiles([path])).toHaveLength(1)
})

test('names that only contain such a word are names', () => {
  expect(namelessFiles(['a/entry-types.ts', 'common-prefix.ts', 'utilization.ts'])).toEqual([])
})

test('500 lines are enough, except for tests', () => {
  const lines = (count: number): string => 'f()\n'.repeat(count)
  expect(longFiles([parseSource('a.ts', lines(500))])).toEqual([])
  expect(longFiles([parseSource('a.test.ts', lines(501))])).toEqual([])
  expect(longFiles([parseSource('a.ts', lines(501))])).toEqual(['a.ts has 501 lines, over 500: split it by concept'])
})

describe('foreignPlaces', () => {
  // Spelled in pieces: this file is checked, too.
  const slash = '/'
  test.each([
    `see https://${'registry'}.npmjs.org/x`,
    `deb http://${'deb'}.debian.org/debian`,
    `cd ${slash}work/main`,
    `"${slash}root/.cache"`,
    `cache=${slash}root`,
  ])('%j is foreign', (text) => {
    expect(foreignPlaces([{ path: 'a.md', text: `first\n${text}\n` }])).toEqual([expect.stringMatching(/^a\.md:2 names /)])
  })

  test.each([
    'packages/work/main',
    '"$partial/root/usr/bin"',
    './work/x',
    '../root/x',
    'https://moraine.test/root/x',
    '/workers/a',
    'the registry that npm is set to',
  ])('%j is not', (text) => {
    expect(foreignPlaces([{ path: 'a.md', text }])).toEqual([])
  })
})

test('a lock file with an address is refused, links between workspaces are not', () => {
  const lock = (resolved: string): string[] =>
    lockedAddresses({ path: 'package-lock.json', text: JSON.stringify({ packages: { 'node_modules/a': { resolved } } }) })
  expect(lock('packages/base')).toEqual([])
  expect(lock('https://example.test/a.tgz')).toHaveLength(1)
  expect(lock('git+ssh://example.test/a')).toHaveLength(1)
})

describe('silencedTests', () => {
  const check = (text: string, path = 'a.test.ts'): string[] => silencedTests([parseSource(path, text)])

  test.each([
    ["test.only('a', f)", 'uses .only'],
    ["describe.only('a', f)", 'uses .only'],
    ["test.concurrent.only.each([1])('a', f)", 'uses .only'],
    ["test.skip('a', f)", 'without a comment'],
    ["f()\n\n// far above\n\nit.skip('a', f)", 'without a comment'],
    ["test('a', (context) => { context.skip() })", 'without a note'],
  ])('%j is refused', (text, reason) => {
    expect(check(text)).toEqual([expect.stringContaining(reason)])
  })

  test.each([
    "test('a', f)",
    "// Needs a disk that lies.\ntest.skip('a', f)",
    "test.skip('a', f) // needs a disk that lies",
    "describe.skipIf(server === undefined)('a', f)",
    "test('a', (context) => { context.skip('needs a disk that lies') })",
    'iterator.skip(3)',
    'settings.only',
  ])('%j is fine', (text) => {
    expect(check(text)).toEqual([])
  })

  test('code that is no test may have a method of that name', () => {
    expect(check("test.only('a')", 'a.ts')).toEqual([])
  })
})
