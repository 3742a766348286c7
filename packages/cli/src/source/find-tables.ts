import { fileURLToPath } from 'node:url'
import { UsageError } from '../terminal/usage-error.ts'
import { localTables } from './local-tables.ts'
import { isUrl } from './store-location.ts'
import { storeTables } from './store-tables.ts'
import type { TableSource } from './table-object.ts'

/**
 * The tables that arguments name: each is a file, a folder, or a URL of either. Local files are read through the file
 * system, which holds any name; objects by ranged requests.
 */
export async function findTables(names: readonly string[]): Promise<TableSource> {
  const sources: TableSource[] = []
  const dispose = async (): Promise<void> => {
    for (const source of sources) await source[Symbol.asyncDispose]()
  }
  try {
    for (const name of names) sources.push(await findOne(name))
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    tables: sources.flatMap(({ tables }) => tables),
    single: sources.length === 1 && sources[0]?.single === true,
    [Symbol.asyncDispose]: dispose,
  }
}

function findOne(name: string): Promise<TableSource> {
  if (!isUrl(name)) return localTables(name)
  if (!/^file:/i.test(name)) return storeTables(name)
  let path: string
  try {
    path = fileURLToPath(name)
  } catch (error) {
    throw new UsageError(`${name} does not name a file: ${(error as Error).message}`)
  }
  return localTables(path)
}
