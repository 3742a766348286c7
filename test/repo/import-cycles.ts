import { posix } from 'node:path'
import type { SourceFile } from './source-file.ts'

/**
 * One description for each group of files that import each other in a circle, type-only imports included: a circle of
 * types is two concepts in disguise, too. Every file is in at most one group (a strongly connected component).
 */
export function importCycles(files: readonly SourceFile[]): string[] {
  const paths = new Set(files.map(({ path }) => path))
  const edges = new Map<string, string[]>()
  for (const { path, references } of files) {
    const targets = references
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => posix.normalize(posix.join(posix.dirname(path), specifier)))
    edges.set(path, targets.filter((target) => paths.has(target)))
  }
  return components(edges)
    .filter((group) => group.length > 1 || edges.get(group[0]!)!.includes(group[0]!))
    .map((group) => `these files import each other: ${group.sort().join(', ')}`)
}

/** Tarjan's algorithm. */
function components(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const stack: string[] = []
  const found: string[][] = []
  const enter = (node: string): void => {
    order.set(node, order.size)
    lowest.set(node, order.get(node)!)
    stack.push(node)
    for (const target of edges.get(node)!) {
      if (!order.has(target)) enter(target)
      if (stack.includes(target)) lowest.set(node, Math.min(lowest.get(node)!, lowest.get(target)!))
    }
    if (lowest.get(node) === order.get(node)) found.push(stack.splice(stack.indexOf(node)))
  }
  for (const node of edges.keys()) if (!order.has(node)) enter(node)
  return found
}
