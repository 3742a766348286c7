import type { TextFile } from './checkout.ts'
import { isNode, isTestFile, lineOf, type SourceFile, stringValue, type SyntaxNode, walk } from './source-file.ts'

const MAX_LINES = 500
const NAMELESS = /^(utils?|helpers?|common|misc|types)$/
/** Hosts that serve packages. A checkout must install from whatever registry its user has. */
const REGISTRY_HOST = /\b(?:registry|proxy|mirror|deb|npm|pypi)\.[a-z0-9-]+\.(?:org|com|net|io|dev)\b/i
const TEST_FUNCTION = /^(test|it|describe|suite|bench)$/
const TEST_CONTEXT = /^(context|ctx)$/
/** Absolute paths of somebody's machine. A slash inside a longer relative path does not start one. */
const MACHINE_PATH = /(?<![\w.~\-/})])\/(?:work|root)(?=\/|$|['"`\s])/m

/** Files and folders whose name says nothing: what is in them belongs to a concept with a name. */
export function namelessFiles(paths: readonly string[]): string[] {
  return paths
    .filter((path) => path.split('/').some((part) => NAMELESS.test(part.split('.')[0] ?? '')))
    .map((path) => `${path}: name it after the one concept it holds`)
}

export function longFiles(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length
    return isTestFile(path) || lines <= MAX_LINES ? [] : [`${path} has ${lines} lines, over ${MAX_LINES}: split it by concept`]
  })
}

/** Registry hosts and machine paths in anything that is committed. */
export function foreignPlaces(files: readonly TextFile[]): string[] {
  return files.flatMap(({ path, text }) =>
    [REGISTRY_HOST, MACHINE_PATH].flatMap((pattern) => {
      const match = pattern.exec(text)
      return match === null ? [] : [`${path}:${lineOf(text, match.index)} names ${match[0]}`]
    }),
  )
}

/** A lock file that names download addresses ties the checkout to one registry. */
export function lockedAddresses(lock: TextFile): string[] {
  const { packages = {} } = JSON.parse(lock.text) as { packages?: Record<string, { resolved?: string }> }
  return Object.entries(packages)
    .filter(([, { resolved }]) => resolved !== undefined && /^[a-z+]+:/i.test(resolved))
    .map(([name]) => `${lock.path}: "${name}" has a resolved address; omit-lockfile-registry-resolved is set for a reason`)
}

/**
 * Tests that switch others off, and tests that are switched off without a word. A `skip` is explained by a comment on its
 * line or on the line above, or by its own argument inside a test (`context.skip('why')`); `skipIf` explains itself.
 */
export function silencedTests(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => isTestFile(path))
    .flatMap((file) => {
      const found: string[] = []
      walk(file.program, (node, ancestors) => {
        if (node.type !== 'MemberExpression' || !isNode(node['property'])) return
        const name = node['property']['name']
        const root = rootName(node) ?? ''
        const at = node['property'].start
        const place = `${file.path}:${lineOf(file.text, at)}`
        if (TEST_FUNCTION.test(root)) {
          if (name === 'only') found.push(`${place} uses .only`)
          if (name === 'skip' && !hasComment(file, at)) found.push(`${place} skips without a comment that says why`)
        } else if (TEST_CONTEXT.test(root) && name === 'skip' && !hasNote(ancestors.at(-1))) {
          found.push(`${place} skips without a note that says why`)
        }
      })
      return found
    })
}

/** `test` of `test.concurrent.each([...]).skip`. */
function rootName(node: SyntaxNode): string | undefined {
  if (node.type === 'Identifier') return String(node['name'])
  const inner = node['object'] ?? node['callee'] ?? node['tag']
  return isNode(inner) ? rootName(inner) : undefined
}

function hasComment(file: SourceFile, offset: number): boolean {
  const line = lineOf(file.text, offset)
  return file.comments.some((comment) => {
    const end = lineOf(file.text, comment.end)
    return end === line || end === line - 1
  })
}

function hasNote(call: SyntaxNode | undefined): boolean {
  const args = call?.type === 'CallExpression' ? (call['arguments'] as SyntaxNode[]) : []
  return args.some((argument) => stringValue(argument) !== undefined || argument.type === 'TemplateLiteral')
}
