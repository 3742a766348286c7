// Invariant: imports point downwards only, packages and engine folders alike, across packages only through `exports`, and
// never in a circle.
import { describe, expect, test } from 'vitest'
import { type Package, packagesOf, sourceFiles, textFiles } from './checkout.ts'
import { importCycles } from './import-cycles.ts'
import { layeringViolations } from './layering.ts'
import { parseSource } from './source-file.ts'

describe('this checkout', () => {
  const texts = textFiles()
  const files = sourceFiles(texts)

  test('was read', () => {
    expect(files.map(({ path }) => path)).toContain('packages/engine/src/index.ts')
  })

  test('imports downwards', () => {
    expect(layeringViolations(files, packagesOf(texts))).toEqual([])
  })

  test('has no import cycle', () => {
    expect(importCycles(files)).toEqual([])
  })
})

const packages: Package[] = [
  ['base', '@moraine/base', { '.': {} }],
  ['sstable', '@moraine/sstable', { '.': {} }],
  ['object-store', '@moraine/object-store', { '.': {} }],
  ['engine', 'moraine', { '.': {}, './inspect': {} }],
  ['testing', '@moraine/testing', { '.': {} }],
  ['cli', '@moraine/cli', { '.': {} }],
  ['examples', '@moraine/examples', { '.': {} }],
  ['new', '@moraine/new', { '.': {} }],
].map(([folder, name, exported]) => ({ folder, name, manifest: { exports: exported } })) as Package[]

describe('layeringViolations', () => {
  const check = (path: string, specifier: string): string[] =>
    layeringViolations([parseSource(path, `import type { A } from '${specifier}'`)], packages)

  test.each([
    ['packages/engine/src/db/db.ts', '@moraine/base'],
    ['packages/engine/src/db/db.ts', '../key/key.ts'],
    ['packages/engine/src/db/db.ts', './other.ts'],
    ['packages/engine/src/index.ts', './db/db.ts'],
    ['packages/engine/src/memtable/memtable.ts', '../iterator/entry-iterator.ts'],
    ['packages/engine/src/key/key.test.ts', '../db/db.ts'],
    ['packages/object-store/src/memory.test.ts', '@moraine/testing'],
    ['packages/cli/src/main.ts', 'moraine/inspect'],
    ['packages/cli/src/main.ts', 'node:fs'],
    ['packages/base/src/a.ts', '@moraine/basement'],
    ['test/a.test.ts', 'moraine'],
    ['test/a.test.ts', './setup/b.ts'],
  ])('%s may import %s', (path, specifier) => {
    expect(check(path, specifier)).toEqual([])
  })

  test.each([
    ['packages/base/src/a.ts', '@moraine/sstable', 'base is not above sstable'],
    ['packages/sstable/src/a.ts', '@moraine/object-store', 'sstable is not above object-store'],
    ['packages/engine/src/db/db.ts', '@moraine/testing', 'engine is not above testing'],
    ['packages/engine/src/db/db.ts', 'moraine', 'imports its own files by path'],
    ['packages/new/src/a.ts', '@moraine/base', 'new has no place in the layers'],
    ['packages/engine/src/db/db.ts', '@moraine/base/src/index.ts', 'do not hold "./src/index.ts"'],
    ['packages/engine/src/db/db.test.ts', '@moraine/base/dist/a.js', 'do not hold'],
    ['packages/examples/src/a.ts', 'moraine/inspect', 'for tools only'],
    ['packages/engine/src/db/db.ts', '../../../base/src/index.ts', 'by its name, not by a path'],
    ['packages/engine/src/db/db.test.ts', '../../../base/src/index.ts', 'by its name, not by a path'],
    ['packages/engine/src/db/db.ts', '../../../../test/a.ts', 'does not reach outside'],
    ['test/a.test.ts', '../packages/base/src/index.ts', 'by its name, not by a path'],
    ['packages/engine/src/key/key.ts', '../layout/names.ts', 'key/ comes before layout/'],
    ['packages/engine/src/iterator/i.ts', '../memtable/memtable.ts', 'iterator/ comes before memtable/'],
    ['packages/engine/src/recovery/open.ts', '../db/db.ts', 'recovery/ comes before db/'],
    ['packages/engine/src/db/db.ts', '../index.ts', 'entry points are for other packages'],
    ['packages/engine/src/db/db.ts', '../extra/a.ts', 'extra/ has no place'],
    ['packages/engine/src/extra/a.ts', '../key/key.ts', 'extra/ has no place'],
  ])('%s may not import %s', (path, specifier, reason) => {
    const found = check(path, specifier)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(`${path}:1 imports ${specifier}: `)
    expect(found[0]).toContain(reason)
  })

  test.each([
    "import '@moraine/engine-side'\nimport { b } from '@moraine/sstable'",
    "export { b } from '@moraine/sstable'",
    "export * from '@moraine/sstable'",
    "export type { B } from '@moraine/sstable'",
    "const b = await import('@moraine/sstable')",
    'const b = await import(`@moraine/sstable`)',
    "type B = import('@moraine/sstable').B",
    "function f(b: import('@moraine/sstable').B): void {}",
  ])('sees the import in %j', (text) => {
    expect(layeringViolations([parseSource('packages/base/src/a.ts', text)], packages)).toHaveLength(1)
  })

  test("sees a worker's module", () => {
    const text = "new Worker(new URL('../db/worker.ts', import.meta.url))"
    expect(layeringViolations([parseSource('packages/engine/src/key/a.ts', text)], packages)).toHaveLength(1)
  })
})

describe('importCycles', () => {
  const cycles = (files: Record<string, string>): string[] =>
    importCycles(Object.entries(files).map(([path, text]) => parseSource(path, text)))

  test('a tree and a diamond have none', () => {
    expect(cycles({ 'a.ts': "import './b.ts'\nimport './c.ts'", 'b.ts': "import './d.ts'", 'c.ts': "import './d.ts'", 'd.ts': '' })).toEqual([])
  })

  test.each([
    ['of one', { 'a.ts': "import './a.ts'" }, 'a.ts'],
    ['of two', { 'a.ts': "import './b.ts'", 'b.ts': "import './a.ts'", 'c.ts': "import './a.ts'" }, 'a.ts, b.ts'],
    ['of types only', { 'a.ts': "import type { B } from './b.ts'", 'b.ts': "export type { A } from './a.ts'" }, 'a.ts, b.ts'],
    ['of three, in folders', { 'x/a.ts': "import '../y/b.ts'", 'y/b.ts': "import './c.ts'", 'y/c.ts': "import '../x/a.ts'" }, 'x/a.ts, y/b.ts, y/c.ts'],
  ])('one %s', (_, files, group) => {
    expect(cycles(files)).toEqual([`these files import each other: ${group}`])
  })
})
