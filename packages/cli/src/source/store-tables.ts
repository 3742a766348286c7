import { MoraineError } from '@moraine/base'
import type { ObjectInfo, ObjectStore } from '@moraine/object-store'
import { UsageError } from '../terminal/usage-error.ts'
import { storeAt } from './store-location.ts'
import type { OpenTable, TableObject, TableSource } from './table-object.ts'

/** The object that a URL names, or the tables under it: those in `sst/` when it is a database, else all of them. */
export async function storeTables(url: string): Promise<TableSource> {
  const { store, prefix } = storeAt(url)
  try {
    // A slash at the end says that a folder is meant.
    const mayBeObject = prefix !== '' && !/^[^?]*\/(\?|$)/.test(url)
    return await tablesAt(store, prefix, mayBeObject, url)
  } catch (error) {
    await store.close()
    throw error
  }
}

/** The same in a store that is open; the source closes it. */
export async function tablesAt(store: ObjectStore, prefix: string, mayBeObject: boolean, url: string): Promise<TableSource> {
  const object = mayBeObject ? await store.head(prefix) : undefined
  const tables =
    object === undefined
      ? await tablesUnder(store, prefix, url)
      : [table(store, object, object.key.slice(object.key.lastIndexOf('/') + 1))]
  return { tables, single: object !== undefined, [Symbol.asyncDispose]: () => store.close() }
}

async function tablesUnder(store: ObjectStore, prefix: string, url: string): Promise<TableObject[]> {
  const folder = prefix === '' ? '' : `${prefix}/`
  let objects = await listTables(store, `${folder}sst/`)
  if (objects.length === 0) {
    if ((await store.head(`${folder}identity`)) !== undefined) return []
    objects = await listTables(store, folder)
  }
  if (objects.length === 0) throw new UsageError(`there is no object and no table (*.sst) at ${url}`)
  return objects.map((object) => table(store, object, object.key.slice(folder.length)))
}

async function listTables(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = []
  let token: string | undefined
  do {
    const page = await store.list(prefix, { token })
    found.push(...page.objects.filter(({ key }) => key.endsWith('.sst')))
    token = page.nextToken
  } while (token !== undefined)
  // Listings of some stores come in no order.
  return found.sort((a, b) => (a.key < b.key ? -1 : 1))
}

function table(store: ObjectStore, { key, sizeBytes }: ObjectInfo, label: string): TableObject {
  const name = `${store.url}/${key}`
  return { name, label, sizeBytes, open: () => Promise.resolve(openStoredTable(store, key, name, sizeBytes)) }
}

function openStoredTable(store: ObjectStore, key: string, name: string, sizeBytes: number): OpenTable {
  return {
    sizeBytes,
    read: async (offset, length) => {
      const body = await store.get(key, { range: { offset, length } })
      if (body === undefined) throw new MoraineError('UNAVAILABLE', `${name} is gone: was it compacted away meanwhile?`)
      return body.bytes
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
