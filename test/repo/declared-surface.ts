import { posix } from 'node:path'
import { isNode, parseSource, type SourceFile, stringValue, type SyntaxNode, walk } from './source-file.ts'

/** Where a name is declared: a file, and its name there. A file of another package is named by its specifier. */
interface Declared {
  readonly file: string
  readonly name: string
}

/**
 * The public surface of a package as text: every name that the declaration file `entry` exports with its declaration,
 * followed by the declarations that those mention without exporting them. Sorted, without comments and private members, so
 * that it changes when and only when a user of the types could notice.
 */
export function declaredSurface(entry: string, read: (path: string) => string): string {
  const surface = new Surface(read)
  const exported = [...surface.exportsOf(entry)].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = exported.map(([name, declared]) => surface.render(name, declared))
  const mentioned = surface.takeMentioned()
  if (mentioned.length > 0) lines.push('// not exported, but part of the types above', ...mentioned)
  return `${lines.join('\n\n')}\n`
}

class Surface {
  readonly #read: (path: string) => string
  readonly #files = new Map<string, SourceFile>()
  readonly #rendered = new Set<string>()
  readonly #pending: Declared[] = []

  constructor(read: (path: string) => string) {
    this.#read = read
  }

  exportsOf(path: string): Map<string, Declared> {
    const found = new Map<string, Declared>()
    for (const statement of statementsOf(this.#file(path))) {
      const source = stringValue(statement['source'])
      const target = source === undefined ? path : resolve(path, source)
      if (statement.type === 'ExportAllDeclaration') {
        if (isNode(statement['exported'])) found.set(nameOf(statement['exported']), { file: target, name: '*' })
        else if (!isFile(target)) found.set(`* from ${target}`, { file: target, name: '*' })
        else for (const [name, declared] of this.exportsOf(target)) found.set(name, declared)
      }
      if (statement.type === 'ExportDefaultDeclaration') found.set('default', { file: path, name: 'default' })
      if (statement.type !== 'ExportNamedDeclaration') continue
      for (const specifier of statement['specifiers'] as SyntaxNode[]) {
        const local = nameOf(specifier['local'])
        const declared = source === undefined ? this.#importedOrLocal(path, local) : this.#lookup(target, local)
        found.set(nameOf(specifier['exported']), declared)
      }
      for (const name of declaredNames(statement['declaration'])) found.set(name, { file: path, name })
    }
    return found
  }

  /** The declaration's text, under the name by which users know it. */
  render(name: string, { file, name: local }: Declared): string {
    this.#rendered.add(`${file} ${local}`)
    const alias = name === local ? '' : `// ${name} is ${local}\n`
    if (!isFile(file) || local === '*') return `${alias}export { ${name} } from '${file}'`
    const source = this.#file(file)
    const statements = statementsOf(source).filter((statement) => declares(statement, local))
    for (const statement of statements) this.#mention(source, statement)
    return alias + statements.map((statement) => textOf(source, statement)).join('\n')
  }

  /** Declarations that what was rendered mentions, and those mentioned by these, sorted. */
  takeMentioned(): string[] {
    const texts: string[] = []
    for (let next = this.#pending.pop(); next !== undefined; next = this.#pending.pop()) {
      if (!this.#rendered.has(`${next.file} ${next.name}`)) texts.push(this.render(next.name, next))
    }
    return texts.sort()
  }

  #mention(source: SourceFile, statement: SyntaxNode): void {
    walk(statement, (node, ancestors) => {
      // What a constructor takes is the business of who builds the object: following it would put the inside of the package
      // on show, and whoever may call it finds the types of its parameters exported.
      const inConstructor = ancestors.some((ancestor) => ancestor['kind'] === 'constructor')
      if (node.type !== 'Identifier' || inConstructor) return
      const declared = this.#importedOrLocal(source.path, nameOf(node))
      const isDeclared =
        !isFile(declared.file) || statementsOf(this.#file(declared.file)).some((other) => declares(other, declared.name))
      if (isFile(declared.file) && isDeclared) this.#pending.push(declared)
    })
  }

  #importedOrLocal(path: string, name: string): Declared {
    for (const statement of statementsOf(this.#file(path))) {
      if (statement.type !== 'ImportDeclaration') continue
      for (const specifier of statement['specifiers'] as SyntaxNode[]) {
        if (nameOf(specifier['local']) !== name) continue
        const imported = isNode(specifier['imported']) ? nameOf(specifier['imported']) : '*'
        return this.#lookup(resolve(path, stringValue(statement['source']) ?? ''), imported)
      }
    }
    return { file: path, name }
  }

  /** Follows re-exports to the file that declares the name. */
  #lookup(file: string, name: string): Declared {
    return (isFile(file) && name !== '*' ? this.exportsOf(file).get(name) : undefined) ?? { file, name }
  }

  #file(path: string): SourceFile {
    let file = this.#files.get(path)
    if (file === undefined) this.#files.set(path, (file = parseSource(path, this.#read(path))))
    return file
  }
}

function statementsOf(file: SourceFile): SyntaxNode[] {
  return file.program['body'] as SyntaxNode[]
}

function declares(statement: SyntaxNode, name: string): boolean {
  if (name === 'default') return statement.type === 'ExportDefaultDeclaration'
  const declaration = statement.type === 'ExportNamedDeclaration' ? statement['declaration'] : statement
  return declaredNames(declaration).includes(name)
}

function declaredNames(declaration: unknown): string[] {
  if (!isNode(declaration) || declaration.type === 'ImportDeclaration') return []
  if (declaration.type === 'VariableDeclaration') {
    return (declaration['declarations'] as SyntaxNode[]).map(({ id }) => nameOf(id))
  }
  return isNode(declaration['id']) ? [nameOf(declaration['id'])] : []
}

/** The text of a declaration without its comments and private members. */
function textOf(source: SourceFile, statement: SyntaxNode): string {
  const cuts = source.comments.map(({ start, end }) => ({ start, end }))
  walk(statement, (node) => {
    if (node['accessibility'] === 'private') cuts.push(node)
  })
  let text = ''
  let at = statement.start
  for (const cut of cuts.sort((a, b) => a.start - b.start)) {
    if (cut.start < at || cut.end > statement.end) continue
    text += source.text.slice(at, cut.start)
    at = cut.end
  }
  return (text + source.text.slice(at, statement.end))
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n')
}

function nameOf(node: unknown): string {
  return isNode(node) ? String(node['name'] ?? stringValue(node)) : ''
}

function isFile(target: string): boolean {
  return target.endsWith('.d.ts')
}

/** `./a.ts` of a declaration file is the declaration file beside it; another package stays its specifier. */
function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier
  return posix.join(posix.dirname(from), specifier).replace(/(\.d)?\.[jt]s$/, '.d.ts')
}
