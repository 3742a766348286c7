import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { MoraineError } from '@moraine/base'
import { UsageError } from '../terminal/usage-error.ts'
import type { OpenTable, TableObject, TableSource } from './table-object.ts'

/** A file, or the tables in a folder: in its `sst/` when it is a database, else directly in it. */
export async function localTables(path: string): Promise<TableSource> {
  const found = await refusalsNamed(path, () => stat(path))
  if (found === undefined) throw new UsageError(`there is no file or folder ${path}`)
  if (!found.isDirectory()) return source([table(path, basename(path), found.size)], true)
  const inDatabase = await tableNames(join(path, 'sst'))
  const folder = inDatabase === undefined ? '' : 'sst/'
  const names = inDatabase ?? (await tableNames(path)) ?? []
  if (names.length === 0 && (await refusalsNamed(path, () => stat(join(path, 'identity')))) === undefined) {
    throw new UsageError(`the folder ${path} holds no tables (*.sst), and no database`)
  }
  const tables: TableObject[] = []
  for (const name of names) {
    const label = `${folder}${name}`
    const file = join(path, label)
    const info = await refusalsNamed(file, () => stat(file))
    // A table that a running compaction has just replaced.
    if (info !== undefined) tables.push(table(file, label, info.size))
  }
  return source(tables, false)
}

async function tableNames(folder: string): Promise<string[] | undefined> {
  const names = await refusalsNamed(folder, () => readdir(folder))
  return names?.filter((name) => name.endsWith('.sst')).sort()
}

function source(tables: readonly TableObject[], single: boolean): TableSource {
  return { tables, single, [Symbol.asyncDispose]: () => Promise.resolve() }
}

function table(path: string, label: string, sizeBytes: number): TableObject {
  return { name: path, label, sizeBytes, open: () => openLocalTable(path, sizeBytes) }
}

async function openLocalTable(path: string, sizeBytes: number): Promise<OpenTable> {
  const file = await refusalsNamed(path, () => open(path, 'r'))
  if (file === undefined) throw new MoraineError('UNAVAILABLE', `${path} is gone: was it compacted away meanwhile?`)
  return {
    sizeBytes,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length)
      let at = 0
      while (at < length) {
        const { bytesRead } = await file.read(bytes, at, length - at, offset + at)
        // Shorter than it was: the reader sees that the bytes are too few and says so.
        if (bytesRead === 0) return bytes.subarray(0, at)
        at += bytesRead
      }
      return bytes
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** Undefined when there is no such file; other refusals of the file system are UNAVAILABLE. */
async function refusalsNamed<T>(path: string, call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new MoraineError('UNAVAILABLE', `${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}
