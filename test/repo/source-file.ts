import { parseSync } from 'vite'

/** A node of the syntax tree, in ESTree's shape. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

export interface Comment {
  readonly start: number
  readonly end: number
}

/** One place where a module names another: an import, a re-export, a type import or a worker's URL. */
export interface ModuleReference {
  readonly specifier: string
  readonly line: number
}

/** A parsed TypeScript or JavaScript file. `path` is relative to the checkout, with forward slashes. */
export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly program: SyntaxNode
  readonly comments: readonly Comment[]
  readonly references: readonly ModuleReference[]
}

/** Parses a file; throws when it is not valid TypeScript, because a rule that reads half a file proves nothing. */
export function parseSource(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text, { sourceType: 'module' })
  const error = parsed.errors[0]
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`)
  const program = parsed.program as unknown as SyntaxNode
  const references: ModuleReference[] = []
  walk(program, (node) => {
    const specifier = referencedModule(node)
    if (specifier !== undefined) references.push({ specifier, line: lineOf(text, node.start) })
  })
  return { path, text, program, comments: parsed.comments, references }
}

function referencedModule(node: SyntaxNode): string | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return stringValue(node['source'])
    case 'NewExpression': {
      // new URL('./worker.ts', import.meta.url): how a worker's module is named.
      const [target, base] = node['arguments'] as SyntaxNode[]
      const isUrl = isNode(node['callee']) && node['callee']['name'] === 'URL'
      return isUrl && base?.type === 'MemberExpression' && stringValue(target)?.endsWith('.ts') ? stringValue(target) : undefined
    }
    default:
      return undefined
  }
}

/** Visits every node, parents first, with the chain of its ancestors (nearest last). */
export function walk(root: SyntaxNode, visit: (node: SyntaxNode, ancestors: readonly SyntaxNode[]) => void): void {
  const ancestors: SyntaxNode[] = []
  const step = (node: SyntaxNode): void => {
    visit(node, ancestors)
    ancestors.push(node)
    for (const child of children(node)) step(child)
    ancestors.pop()
  }
  step(root)
}

function* children(node: SyntaxNode): Iterable<SyntaxNode> {
  for (const value of Object.values(node)) {
    if (isNode(value)) yield value
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) yield item
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string'
}

/** The text of a string literal or of a template without substitutions. */
export function stringValue(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'Literal' && typeof node['value'] === 'string') return node['value']
  if (node.type === 'TemplateLiteral') {
    const quasis = node['quasis'] as { value: { cooked: string } }[]
    return quasis.length === 1 ? quasis[0]?.value.cooked : undefined
  }
  return undefined
}

/** Line numbers count from one, as editors do. */
export function lineOf(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at !== -1 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

export function isTestFile(path: string): boolean {
  return /\.test\.[cm]?[jt]s$/.test(path)
}
