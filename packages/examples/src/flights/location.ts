import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { QuickstartOptions } from './options.ts'
import { UsageError } from './options.ts'

/** Where a run works. */
export interface Workplace {
  /** URL of the database. */
  readonly location: string
  /** Parent of the log folders; local, never part of the database. */
  readonly localFolder: string
  /** The default folder, when that is used: said to the user because it was emptied. */
  readonly emptiedFolder: string | undefined
  /** Removes what the run made for itself; never a location that the user named. */
  dispose(): Promise<void>
}

/**
 * The default folder of the checkout, emptied; or the location the user named, which is only ever added to: the
 * caller refuses one that is in use. `runName` names the prefix of `--new-prefix`.
 */
export async function prepareWorkplace(options: QuickstartOptions, runName: string): Promise<Workplace> {
  if (options.location !== undefined) {
    const location = options.newPrefix ? belowLocation(options.location, runName) : options.location
    if (location.startsWith('file:')) await refuseUsedFolder(location)
    const localFolder = await mkdtemp(join(tmpdir(), 'moraine-quickstart-'))
    const dispose = (): Promise<void> => rm(localFolder, { recursive: true, force: true })
    return { location, localFolder, emptiedFolder: undefined, dispose }
  }
  const folder = fileURLToPath(new URL('../../../../.cache/quickstart/', import.meta.url))
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  return {
    location: pathToFileURL(join(folder, 'bucket')).href,
    localFolder: join(folder, 'local'),
    emptiedFolder: folder,
    dispose: async () => {
      if (!options.keep) await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The location with one more path segment; the query (endpoint, region) stays behind it. */
export function belowLocation(location: string, segment: string): string {
  const queryStart = location.indexOf('?')
  const path = queryStart < 0 ? location : location.slice(0, queryStart)
  const query = queryStart < 0 ? '' : location.slice(queryStart)
  return `${path.replace(/\/+$/, '')}/${segment}${query}`
}

async function refuseUsedFolder(location: string): Promise<void> {
  let names: string[]
  try {
    names = await readdir(fileURLToPath(location))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new UsageError(`--location ${location} cannot be read: ${(error as Error).message}`)
  }
  if (names.length > 0) {
    throw new UsageError(`${location} is not empty (it holds '${names[0]}'): name another one, or add --new-prefix`)
  }
}
