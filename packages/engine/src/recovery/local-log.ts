import { constants, existsSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { MoraineError } from '@moraine/base'
import type { Manifest } from '../manifest/manifest.ts'
import { LocalWalFolder } from '../wal/local-wal-folder.ts'
import { completeSuccession, dropSuccessor, prepareSuccessor } from '../wal/log-succession.ts'
import { walFolderLocation } from '../wal/wal-folder-location.ts'
import type { EngineSettings } from './engine-settings.ts'

/** Where the log of a database lies on this machine, unless the caller named a folder. */
export function defaultWalFolder(databaseId: string): string {
  return walFolderLocation(databaseId, { env: process.env, platform: process.platform, homedir: homedir() })
}

/** Where the log of a database lies with these settings, or lay when they want none. */
function logFolder({ wal }: EngineSettings, databaseId: string): string {
  return (wal.kind === 'local' ? wal.folder : undefined) ?? defaultWalFolder(databaseId)
}

/**
 * Opens the log folder and checks its lineage against the newest manifest. A log continues the database only if its id
 * is the manifest's; any other log that still holds writes is refused (or set aside when the caller says so), never
 * replayed and never deleted.
 */
export async function prepareLocalLog(
  settings: EngineSettings,
  before: Manifest | undefined,
  databaseId: string,
): Promise<LocalWalFolder | undefined> {
  const { wal, random } = settings
  const folder = logFolder(settings, databaseId)
  // A restore may have ended between its commit and the change of the log.
  if (before?.walId !== undefined) await completeSuccession(folder, before.walId)
  if (wal.kind !== 'local') {
    // A log that an earlier opening left with unflushed writes is still replayed; none is ever created.
    if (before?.walId === undefined || !existsSync(folder)) return undefined
    const left = await LocalWalFolder.open(folder, { databaseId, random, create: false })
    return left.walId === before.walId ? left : undefined
  }
  const log = await LocalWalFolder.open(folder, { databaseId, random, create: true })
  // Found out now, nobody has been fenced off for a log that cannot be written.
  await checkWritable(log.folder)
  if (before !== undefined && log.walId === before.walId) return log
  const survey = await log.survey(undefined)
  if (survey.writes === 0 && survey.damage === undefined) return log
  if (wal.foreign === 'set-aside') {
    await log.setAside()
    return LocalWalFolder.open(folder, { databaseId, random, create: true })
  }
  throw new MoraineError(
    'INVALID',
    `the write-ahead log in ${log.folder} holds ${survey.writes} writes but does not continue this database: since they were written it was opened from another folder or restored. They were left untouched: read them with 'moraine wal export ${log.folder}', then open with wal: { kind: 'local', foreign: 'set-aside' } to start a new log beside them`,
    { detail: { folder: log.folder, writes: survey.writes, walId: log.walId, expected: before?.walId } },
  )
}

/** An empty log that is to continue a restored state; undefined when the settings want no local log. */
export async function prepareRestoredLog(settings: EngineSettings, databaseId: string): Promise<LocalWalFolder | undefined> {
  if (settings.wal.kind !== 'local') return undefined
  return await prepareSuccessor(logFolder(settings, databaseId), { databaseId, random: settings.random })
}

/** Puts the restored state's log in the place of the old one, once the manifest that names it is committed. */
export async function adoptRestoredLog(settings: EngineSettings, log: LocalWalFolder): Promise<LocalWalFolder> {
  const { databaseId, walId } = log
  const folder = logFolder(settings, databaseId)
  await completeSuccession(folder, walId)
  return await LocalWalFolder.open(folder, { databaseId, random: settings.random, create: false })
}

/** Deletes what a restore that never was committed has left. Only for the owner: nobody else can commit it any more. */
export async function dropUnusedSuccessor(settings: EngineSettings, databaseId: string): Promise<void> {
  await dropSuccessor(logFolder(settings, databaseId))
}

async function checkWritable(folder: string): Promise<void> {
  try {
    await access(folder, constants.W_OK)
  } catch (error) {
    const message =
      `the write-ahead log folder ${folder} cannot be written; mend its permissions, ` +
      "or name another with wal: { kind: 'local', folder }"
    throw new MoraineError('UNAVAILABLE', message, { cause: error })
  }
}
