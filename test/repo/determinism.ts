import type { Package } from './checkout.ts'
import { isNode, isTestFile, lineOf, type SourceFile, stringValue, type SyntaxNode, walk } from './source-file.ts'

const GLOBALS: ReadonlySet<string> = new Set(['setTimeout', 'setInterval', 'setImmediate', 'performance'])
const MEMBERS: ReadonlySet<string> = new Set([
  'Date.now',
  'Math.random',
  'AbortSignal.timeout',
  'process.hrtime',
  'process.uptime',
])
const TIMER_MODULES = /^(node:)?timers(\/promises)?$/
const CRYPTO_MODULE = /^(node:)?crypto$/
const CRYPTO_RANDOM = /^(random\w+|getRandomValues|pseudoRandomBytes)$/
/** Types are erased: `ReturnType<typeof setTimeout>` calls nothing. */
const TYPE_ONLY = /^TS(TypeAnnotation|TypeParameter|TypeAliasDeclaration|InterfaceDeclaration|TypeQuery)/

/**
 * Uses of the real time, of timers and of randomness outside the places that own them. Everything else takes a `Clock` and a
 * `Random`, which is what makes a simulation repeatable. A local variable of such a name counts, too: choose another name.
 */
export function determinismViolations(files: readonly SourceFile[], packages: readonly Package[]): string[] {
  return files
    .filter(({ path }) => path.startsWith('packages/') && !isTestFile(path) && !ownsTime(path, packages))
    .flatMap((file) => {
      const found: string[] = []
      walk(file.program, (node, ancestors) => {
        const name = impureUse(node, ancestors)
        if (name === undefined || ancestors.some(({ type }) => TYPE_ONLY.test(type))) return
        found.push(`${file.path}:${lineOf(file.text, node.start)} uses ${name}: take a Clock or a Random instead`)
      })
      return found
    })
}

/**
 * The clock and the random source themselves, and the entry points of processes, which choose the real ones. A conformance
 * suite is a test in the shape of a function, and tests may use anything.
 */
function ownsTime(path: string, packages: readonly Package[]): boolean {
  if (/^packages\/testing\/src\/[^/]+-suite\//.test(path)) return true
  if (/^packages\/base\/src\/(clock|random)\//.test(path)) return true
  if (path.startsWith('packages/bench/') || /^packages\/[^/]+\/src\/(.*\/)?main\.ts$/.test(path)) return true
  return packages.some(({ folder, manifest }) => {
    const bin = manifest['bin'] ?? {}
    const programs = typeof bin === 'string' ? [bin] : Object.values(bin as Record<string, string>)
    return programs.some((program) => {
      const source = program.replace(/^\.\//, '').replace(/^dist\//, 'src/').replace(/\.js$/, '.ts')
      return path === `packages/${folder}/${source}`
    })
  })
}

function impureUse(node: SyntaxNode, ancestors: readonly SyntaxNode[]): string | undefined {
  switch (node.type) {
    case 'Identifier':
      return GLOBALS.has(String(node['name'])) && isReference(node, ancestors.at(-1)) ? String(node['name']) : undefined
    case 'NewExpression':
      return nameOf(node['callee']) === 'Date' && (node['arguments'] as unknown[]).length === 0 ? 'new Date()' : undefined
    case 'CallExpression':
      return nameOf(node['callee']) === 'Date' ? 'Date()' : undefined
    case 'MemberExpression':
      return impureMember(node)
    case 'ImportDeclaration':
      return node['importKind'] === 'type' ? undefined : impureImport(node)
    default:
      return undefined
  }
}

function impureMember(node: SyntaxNode): string | undefined {
  const property = node['computed'] === true ? stringValue(node['property']) : nameOf(node['property'])
  const object = nameOf(node['object'])
  if (property === undefined) return undefined
  if (object === 'globalThis' || object === 'global') return GLOBALS.has(property) ? `${object}.${property}` : undefined
  if (MEMBERS.has(`${object}.${property}`)) return `${object}.${property}`
  const isCrypto = /crypto$/i.test(lastName(node['object']) ?? '')
  return isCrypto && CRYPTO_RANDOM.test(property) ? `crypto.${property}` : undefined
}

function impureImport(node: SyntaxNode): string | undefined {
  const source = stringValue(node['source']) ?? ''
  if (TIMER_MODULES.test(source)) return source
  if (!CRYPTO_MODULE.test(source)) return undefined
  return (node['specifiers'] as SyntaxNode[])
    .map((specifier) => nameOf(specifier['imported']) ?? '')
    .filter((name) => CRYPTO_RANDOM.test(name))
    .map((name) => `crypto.${name}`)[0]
}

/** False where the identifier only names a property, a method or a member of another object. */
function isReference(node: SyntaxNode, parent: SyntaxNode | undefined): boolean {
  switch (parent?.type) {
    case 'MemberExpression':
      return parent['property'] !== node || parent['computed'] === true
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
    case 'TSAbstractMethodDefinition':
    case 'TSAbstractPropertyDefinition':
      return parent['key'] !== node || parent['computed'] === true
    case 'ImportSpecifier':
    case 'ExportSpecifier':
      return false
    default:
      return true
  }
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && (node.type === 'Identifier' || node.type === 'PrivateIdentifier') ? String(node['name']) : undefined
}

function lastName(node: unknown): string | undefined {
  return isNode(node) && node.type === 'MemberExpression' ? nameOf(node['property']) : nameOf(node)
}
