// Invariant: every package can be installed alone: licence, engines, exports that lead to files, and dependencies that are
// exactly what its sources import.
import { describe, expect, test } from 'vitest'
import { packagesOf, sourceFiles, textFiles } from './checkout.ts'
import { dependencyFaults, manifestFaults } from './package-manifests.ts'
import { parseSource } from './source-file.ts'

describe('this checkout', () => {
  const texts = textFiles()
  const packages = packagesOf(texts)

  test('has whole manifests', () => {
    expect(packages.length).toBeGreaterThanOrEqual(8)
    expect(manifestFaults(packages, new Set(texts.map(({ path }) => path)))).toEqual([])
  })

  test('depends on what it imports', () => {
    expect(dependencyFaults(packages, sourceFiles(texts))).toEqual([])
  })
})

describe('manifestFaults', () => {
  const manifest = {
    name: '@moraine/a',
    type: 'module',
    license: 'Apache-2.0',
    engines: { node: '>=20.19' },
    exports: { '.': { 'moraine-source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' } },
  }
  const check = (change: object): string[] =>
    manifestFaults([{ folder: 'a', name: '@moraine/a', manifest: { ...manifest, ...change } }], new Set(['packages/a/src/index.ts']))

  test('a whole one has none', () => {
    expect(check({})).toEqual([])
  })

  const entry = manifest.exports['.']
  test.each([
    ['license', { license: 'MIT' }],
    ['type', { type: 'commonjs' }],
    ['engines', { engines: { node: '>=18' } }],
    ['engines', { engines: undefined }],
    ['exports', { exports: undefined }],
    ['conditions', { exports: { '.': { types: entry.types, 'moraine-source': entry['moraine-source'], default: entry.default } } }],
    ['types', { exports: { '.': { ...entry, types: './dist/other.d.ts' } } }],
    ['default', { exports: { '.': { ...entry, default: './src/index.ts' } } }],
  ])('a fault in %s', (name, change) => {
    expect(check(change)).toEqual([expect.stringContaining(name)])
  })

  test('an export without a source file', () => {
    const missing = { 'moraine-source': './src/b.ts', types: './dist/b.d.ts', default: './dist/b.js' }
    expect(check({ exports: { '.': entry, './b': missing } })).toEqual([expect.stringContaining('names no file')])
  })
})

describe('dependencyFaults', () => {
  const check = (dependencies: object, text: string, path = 'packages/a/src/a.ts'): string[] =>
    dependencyFaults([{ folder: 'a', name: '@moraine/a', manifest: { dependencies } }], [parseSource(path, text)])

  test.each([
    [{}, "import 'node:fs'\nimport 'fs'\nimport './b.ts'"],
    [{ b: '1' }, "import { c } from 'b/c'"],
    [{ '@x/b': '1' }, "import type { C } from '@x/b'"],
    [{ 'b-data': '1' }, "const path = require.resolve('b-data/flights.parquet')"],
  ])('%j fits %j', (dependencies, text) => {
    expect(check(dependencies, text)).toEqual([])
  })

  test('a dependency that nothing imports', () => {
    expect(check({ b: '1' }, "import './b.ts'")).toEqual([expect.stringContaining('nothing imports the dependency b')])
    expect(check({ b: '1' }, "import 'b'", 'packages/a/src/a.test.ts')).toHaveLength(1)
  })

  test('an import that is no dependency', () => {
    expect(check({}, "\nimport { c } from '@x/b/c'")).toEqual([
      'packages/a/src/a.ts:2 imports @x/b, which is no dependency of packages/a',
    ])
  })

  test('tests may import what the workspace has', () => {
    expect(check({}, "import { test } from 'vitest'", 'packages/a/src/a.test.ts')).toEqual([])
  })
})
