import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkKey, compareKeys } from '../object-key.ts'
import { systemCode } from './file-error.ts'

export interface FolderSearch {
  readonly prefix: string
  /** Only keys greater than this one. */
  readonly after: string | undefined
  readonly limit: number
  /** Name of a folder directly below the root that holds no objects. */
  readonly hidden: string
}

/**
 * The first `limit` keys of a search, in key order, walking only folders that can hold some. Symbolic links and
 * special files are no objects.
 */
export async function listFolder(root: string, search: FolderSearch): Promise<string[]> {
  const found: string[] = []
  const folderKey = search.prefix.slice(0, search.prefix.lastIndexOf('/') + 1)
  await collect(root, folderKey, search, found)
  return found
}

async function collect(root: string, folderKey: string, search: FolderSearch, found: string[]): Promise<void> {
  const { prefix, after, limit, hidden } = search
  let entries
  try {
    entries = await readdir(join(root, folderKey), { withFileTypes: true })
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  // A folder sorts with its trailing slash, which makes a depth-first walk come out in the order of whole keys.
  const keys: string[] = []
  for (const entry of entries) {
    if (entry.isDirectory()) {
      if (folderKey === '' && entry.name === hidden) continue
      const key = `${folderKey}${entry.name}/`
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) continue
      if (after === undefined || compareKeys(key, after) > 0 || after.startsWith(key)) keys.push(key)
    } else if (entry.isFile()) {
      const key = `${folderKey}${entry.name}`
      if (!key.startsWith(prefix) || (after !== undefined && compareKeys(key, after) <= 0)) continue
      if (isKey(key)) keys.push(key)
    }
  }
  keys.sort(compareKeys)
  for (const key of keys) {
    if (found.length >= limit) return
    if (key.endsWith('/')) await collect(root, key, search, found)
    else found.push(key)
  }
}

/** Other programs may have left files here whose names no store could hold. */
function isKey(key: string): boolean {
  try {
    checkKey(key)
    return true
  } catch {
    return false
  }
}
