import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSource, type SourceFile } from './source-file.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
// What git ignores, and git itself. A walk rather than `git ls-files`: a new file must obey before it is committed.
const NOT_OURS = new Set(['.git', '.cache', 'node_modules', 'dist', 'coverage'])

export interface TextFile {
  readonly path: string
  readonly text: string
}

/** A workspace package as its manifest describes it. */
export interface Package {
  /** The folder under `packages/`. */
  readonly folder: string
  readonly name: string
  readonly manifest: Readonly<Record<string, unknown>>
}

/** Every text file of the checkout that git would track, paths relative to the checkout. */
export function textFiles(): TextFile[] {
  return [...filesUnder('')]
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
    .filter(({ text }) => !text.includes('\0'))
}

/** Every TypeScript and JavaScript file among them, parsed. */
export function sourceFiles(files: readonly TextFile[]): SourceFile[] {
  return files.filter(({ path }) => /\.[cm]?[jt]s$/.test(path)).map(({ path, text }) => parseSource(path, text))
}

export function packagesOf(files: readonly TextFile[]): Package[] {
  return files.flatMap(({ path, text }) => {
    const folder = /^packages\/([^/]+)\/package\.json$/.exec(path)?.[1]
    if (folder === undefined) return []
    const manifest = JSON.parse(text) as Record<string, unknown>
    return [{ folder, name: String(manifest['name']), manifest }]
  })
}

function* filesUnder(folder: string): Iterable<string> {
  const entries = readdirSync(join(ROOT, folder), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (NOT_OURS.has(entry.name) || entry.name.endsWith('.log')) continue
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* filesUnder(path)
    else if (entry.isFile()) yield path
  }
}

/** An absolute path of a file of the checkout. */
export function inCheckout(path: string): string {
  return join(ROOT, path)
}
