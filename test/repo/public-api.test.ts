// Invariant: the declared types of every published package change only on purpose. The snapshots are in test/repo/api; after
// a wanted change `npm run api` rewrites them, and the difference is part of the review.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { inCheckout, packagesOf, textFiles } from './checkout.ts'
import { declaredSurface } from './declared-surface.ts'

const published = packagesOf(textFiles()).filter(({ manifest }) => manifest['private'] !== true)

describe('the public surface', () => {
  // The snapshot is of what a user's compiler reads, so it has to be built; `npm test` has just done so, and then this is
  // instant. A type error is for `npm run typecheck` to report: declarations are written all the same.
  beforeAll(async () => {
    const compiler = inCheckout('node_modules/typescript/bin/tsc')
    const projects = published.map(({ folder }) => inCheckout(`packages/${folder}`))
    await promisify(execFile)(process.execPath, [compiler, '-b', ...projects]).catch(() => {})
  }, 120_000)

  const entries = published.flatMap(({ folder, name, manifest }) =>
    Object.entries(manifest['exports'] as Record<string, { types: string }>).map(([entry, { types }]) => ({
      specifier: name + entry.slice(1),
      file: `packages/${folder}/${types.slice(2)}`,
    })),
  )
  test.each(entries)('$specifier', async ({ specifier, file }) => {
    const surface = declaredSurface(file, (path) => readFileSync(inCheckout(path), 'utf8'))
    await expect(surface, 'the public surface changed; if that is wanted, run: npm run api').toMatchFileSnapshot(
      `api/${specifier.replace('@', '').replace('/', '.')}.api.txt`,
    )
  })
})

describe('declaredSurface', () => {
  const surface = (files: Record<string, string>): string => declaredSurface('index.d.ts', (path) => files[path] ?? '')
  const box = 'import type { Size } from "./size.ts"\n/** A box. */\nexport declare class Box {\n  #a;\n  private b;\n  size(): Size // here\n}\nexport interface Other { x: 1 }\n'
  const size = 'type Unit = "cm"\nexport interface Size { unit: Unit }\nexport {}\n'

  test('shows exported names, sorted, with what they mention, without comments and private members', () => {
    expect(surface({ 'index.d.ts': 'export { Box } from "./box.ts"\nexport declare const a: 1, z: 2\n', 'box.d.ts': box, 'size.d.ts': size })).toBe(
      'export declare class Box {\n  #a;\n  size(): Size\n}\n\n' +
        'export declare const a: 1, z: 2\n\n' +
        'export declare const a: 1, z: 2\n\n' +
        '// not exported, but part of the types above\n\n' +
        'export interface Size { unit: Unit }\n\n' +
        'type Unit = "cm"\n',
    )
  })

  test('follows stars, renames and namespaces; names other packages', () => {
    const text = surface({
      'index.d.ts': 'export * from "./size.ts"\nexport * as all from "./size.ts"\nexport { x as y } from "other"\nexport * from "third"\n',
      'size.d.ts': size,
    })
    for (const part of ['export interface Size', "export { all } from 'size.d.ts'", "// y is x\nexport { y } from 'other'", "from 'third'"]) {
      expect(text).toContain(part)
    }
  })

  test.each([
    ['a new member', 'size(): Size', 'size(): Size; more(): void'],
    ['another type of an unexported mention', '"cm"', '"cm" | "in"'],
  ])('changes with %s', (_, from, to) => {
    const files = { 'index.d.ts': 'export * from "./box.ts"', 'box.d.ts': box, 'size.d.ts': size }
    const changed = { ...files, 'box.d.ts': box.replace(from, to), 'size.d.ts': size.replace(from, to) }
    expect(surface(changed)).not.toBe(surface(files))
  })

  test('names what a constructor takes, but does not follow it', () => {
    const text = surface({
      'index.d.ts': 'export { Box } from "./box.ts"',
      'box.d.ts': 'interface Inside { a: 1 }\nexport declare class Box { constructor(inside: Inside) }',
    })
    expect(text).toBe('export declare class Box { constructor(inside: Inside) }\n')
  })

  test('does not change with comments and private members', () => {
    const files = { 'index.d.ts': 'export * from "./box.ts"', 'box.d.ts': box, 'size.d.ts': size }
    expect(surface({ ...files, 'box.d.ts': box.replace('A box.', 'A crate.').replace('private b', 'private c') })).toBe(surface(files))
  })
})
