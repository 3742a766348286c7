import { posix } from 'node:path'
import type { Package } from './checkout.ts'
import { isTestFile, type SourceFile } from './source-file.ts'

/**
 * Which packages each package may import, by folder. Downwards only: bytes at the bottom, faces and tools on top. The two
 * formats know nothing of each other, nor do the two faces of the engine.
 */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  base: [],
  sstable: ['base'],
  'object-store': ['base'],
  engine: ['base', 'sstable', 'object-store'],
  'keyed-state': ['base', 'object-store', 'engine'],
  level: ['base', 'object-store', 'engine'],
  testing: ['base', 'sstable', 'object-store', 'engine'],
  streams: ['base', 'object-store', 'engine', 'keyed-state'],
  cli: ['base', 'sstable', 'object-store', 'engine', 'keyed-state', 'level'],
  bench: ['base', 'sstable', 'object-store', 'engine', 'keyed-state', 'level', 'testing', 'cli'],
  examples: ['base', 'object-store', 'engine', 'keyed-state', 'level', 'streams', 'cli'],
}

/** The engine's folders in the order in which data flows; a folder may import itself and those before it. */
const ENGINE_ORDER: readonly string[] = [
  'key',
  'layout',
  'batch',
  'merge',
  'iterator',
  'memtable',
  'manifest',
  'blob',
  'table',
  'wal',
  'read',
  'flush',
  'compaction',
  'checkpoint',
  'gc',
  'write',
  'recovery',
  'db',
]

/** The engine's inside is open to tools, not to programs. */
const INSPECTORS: ReadonlySet<string> = new Set(['cli', 'testing', 'bench'])

/**
 * Imports that go upwards or sideways, or reach into another package past its `exports`. Tests may use any package and any
 * engine folder, because nothing imports a test; but they go through `exports` like everyone else.
 */
export function layeringViolations(files: readonly SourceFile[], packages: readonly Package[]): string[] {
  return files.flatMap((file) =>
    file.references.flatMap(({ specifier, line }) => {
      const fault = specifier.startsWith('.')
        ? relativeFault(file.path, specifier)
        : packageFault(file.path, specifier, packages)
      return fault === undefined ? [] : [`${file.path}:${line} imports ${specifier}: ${fault}`]
    }),
  )
}

function relativeFault(path: string, specifier: string): string | undefined {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier))
  const from = packageFolder(path)
  const to = packageFolder(target)
  if (from !== to && to !== undefined) return 'another package is imported by its name, not by a path'
  if (from !== undefined && to === undefined) return 'a package does not reach outside its folder'
  return from === 'engine' && !isTestFile(path) ? engineFault(path, target) : undefined
}

function engineFault(path: string, target: string): string | undefined {
  const from = engineFolder(path)
  const to = engineFolder(target)
  if (from === undefined) return undefined
  if (to === undefined) return 'the entry points are for other packages'
  for (const folder of [from, to]) {
    if (!ENGINE_ORDER.includes(folder)) return `the folder ${folder}/ has no place in the engine's order yet`
  }
  return ENGINE_ORDER.indexOf(to) > ENGINE_ORDER.indexOf(from) ? `${from}/ comes before ${to}/` : undefined
}

function packageFault(path: string, specifier: string, packages: readonly Package[]): string | undefined {
  const target = packages.find(({ name }) => specifier === name || specifier.startsWith(`${name}/`))
  if (target === undefined) return undefined
  const entry = `.${specifier.slice(target.name.length)}`
  const exported = (target.manifest['exports'] ?? {}) as Record<string, unknown>
  if (!Object.hasOwn(exported, entry)) return `the exports of ${target.name} do not hold "${entry}"`
  const from = packageFolder(path)
  if (from === undefined || isTestFile(path)) return undefined
  if (from === target.folder) return 'a package imports its own files by path'
  const below = BELOW[from]
  if (below === undefined) return `the package ${from} has no place in the layers yet`
  if (!below.includes(target.folder)) return `${from} is not above ${target.folder}`
  if (specifier === 'moraine/inspect' && !INSPECTORS.has(from)) return 'the inside of the engine is for tools only'
  return undefined
}

function packageFolder(path: string): string | undefined {
  return /^packages\/([^/]+)\//.exec(path)?.[1]
}

function engineFolder(path: string): string | undefined {
  return /^packages\/engine\/src\/([^/]+)\//.exec(path)?.[1]
}
