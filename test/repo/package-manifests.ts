import { builtinModules } from 'node:module'
import type { Package } from './checkout.ts'
import { isTestFile, type SourceFile, stringValue, walk } from './source-file.ts'

const SOURCE_CONDITION = 'moraine-source'
const BUILTIN: ReadonlySet<string> = new Set(builtinModules)

/** Faults of the packages' own manifests: licence, engines, and exports that lead to source, types and code. */
export function manifestFaults(packages: readonly Package[], paths: ReadonlySet<string>): string[] {
  return packages.flatMap(({ folder, manifest }) => {
    const faults: string[] = []
    if (manifest['license'] !== 'Apache-2.0') faults.push('license is not Apache-2.0')
    if (manifest['type'] !== 'module') faults.push('type is not module')
    const engines = manifest['engines'] as Record<string, string> | undefined
    if (engines?.['node'] !== '>=20.19') faults.push('engines.node is not >=20.19')
    const exported = Object.entries((manifest['exports'] ?? {}) as Record<string, Record<string, string>>)
    if (exported.length === 0) faults.push('no exports')
    for (const [entry, conditions] of exported) {
      const source = conditions[SOURCE_CONDITION]?.replace(/^\.\//, '') ?? ''
      if (!paths.has(`packages/${folder}/${source}`)) faults.push(`exports "${entry}": ${SOURCE_CONDITION} names no file`)
      const built = `./${source.replace(/^src\//, 'dist/').replace(/\.ts$/, '')}`
      // The order matters: a resolver takes the first condition that holds.
      const expected = [SOURCE_CONDITION, 'types', 'default']
      if (Object.keys(conditions).join() !== expected.join()) faults.push(`exports "${entry}": conditions are not ${expected.join()}`)
      if (conditions['types'] !== `${built}.d.ts`) faults.push(`exports "${entry}": types is not ${built}.d.ts`)
      if (conditions['default'] !== `${built}.js`) faults.push(`exports "${entry}": default is not ${built}.js`)
    }
    return faults.map((fault) => `packages/${folder}/package.json: ${fault}`)
  })
}

/** Dependencies that nothing imports, and imports that are no dependency and so break once the package is installed alone. */
export function dependencyFaults(packages: readonly Package[], files: readonly SourceFile[]): string[] {
  return packages.flatMap(({ folder, manifest }) => {
    const own = files.filter(({ path }) => path.startsWith(`packages/${folder}/src/`) && !isTestFile(path))
    const imported = new Map<string, string>()
    for (const { path, references } of own) {
      for (const { specifier, line } of references) {
        const name = packageName(specifier)
        if (name !== undefined) imported.set(name, `${path}:${line}`)
      }
    }
    const listed = Object.keys((manifest['dependencies'] ?? {}) as object)
    const named = namesInStrings(own)
    return [
      ...listed
        .filter((name) => !imported.has(name) && !named.has(name))
        .map((name) => `packages/${folder}/package.json: nothing imports the dependency ${name}`),
      ...[...imported]
        .filter(([name]) => !listed.includes(name))
        .map(([name, place]) => `${place} imports ${name}, which is no dependency of packages/${folder}`),
    ]
  })
}

/** `@scope/name` of `@scope/name/sub`; undefined for paths and for what Node brings itself. */
function packageName(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:') || BUILTIN.has(specifier)) return undefined
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Packages named in a string: data packages are found with `resolve('vega-datasets/...')`, optional ones with `require`. */
function namesInStrings(files: readonly SourceFile[]): Set<string> {
  const names = new Set<string>()
  for (const { program } of files) {
    walk(program, (node) => {
      const value = stringValue(node)
      if (value !== undefined && /^(@[\w.-]+\/)?[\w.-]+(\/|$)/.test(value)) names.add(packageName(value) ?? '')
    })
  }
  return names
}
