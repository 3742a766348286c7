import { existsSync } from 'node:fs'
import { rename, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { MoraineError } from '@moraine/base'
import { diskError, errnoOf } from './disk-error.ts'
import { deleteIfPresent, syncFolder } from './durable-file.ts'
import { LocalWalFolder, type LocalWalFolderOptions } from './local-wal-folder.ts'
import { namesIn } from './local-wal-segments.ts'
import { isTemporaryHeader, ownerMarkName, ownersAmong, segmentsAmong, WAL_HEADER_NAME } from './wal-file-names.ts'

/**
 * A restore in place starts the log anew: what the old log holds belongs to the state that was given up and must never be
 * replayed onto the restored one. Order, and the reason for each step:
 *
 *   1. `<folder>.next`, an empty log with an id of its own, is made beside the log.
 *   2. The restored manifest, which names that id, is committed. This is the moment of the restore: before it the old
 *      log continues the database, from it on the new one does.
 *   3. `<folder>` is renamed to `<folder>.discarded`.
 *   4. `<folder>.next` is renamed to `<folder>`; only now can anything be written to it.
 *   5. `<folder>.discarded` is deleted.
 *
 * Whoever opens the database next looks which id the manifest names. After a crash before step 2 that is the old one: the
 * log is where it always was, and the successor is empty. After step 2 it is the successor's, and the opening goes on
 * with step 3. No step looks at anything but ids, so each of them can be repeated.
 */
export function successorFolder(folder: string): string {
  return `${resolve(folder)}.next`
}

/** Step 1. One that an earlier attempt left is used again: nothing was ever written to it. */
export async function prepareSuccessor(
  folder: string,
  options: Pick<LocalWalFolderOptions, 'databaseId' | 'random'>,
): Promise<LocalWalFolder> {
  return await LocalWalFolder.open(successorFolder(folder), { ...options, create: true })
}

/** Steps 3 to 5, as far as they are not done: afterwards the log in `folder` is the one with `walId`, if there is any. */
export async function completeSuccession(folder: string, walId: string): Promise<void> {
  const path = resolve(folder)
  const discarded = discardedFolder(path)
  try {
    if ((await idOf(successorFolder(path))) === walId) {
      const current = await idOf(path)
      if (current !== walId) {
        await deleteLog(discarded, walId)
        await renameIfPresent(path, discarded)
        // Another process may have completed the succession in between; then that was the living log.
        if ((await idOf(discarded)) === walId) await renameIfPresent(discarded, path)
        else await renameIfPresent(successorFolder(path), path)
        await syncFolder(dirname(path))
      }
    } else if (!existsSync(path) && (await idOf(discarded)) === walId) {
      await renameIfPresent(discarded, path)
      await syncFolder(dirname(path))
    }
    await deleteLog(discarded, walId)
  } catch (error) {
    throw diskError(error, `replacing the log in ${path} after a restore`)
  }
}

/** Deletes a successor that no manifest names. To be called by the owner, once nobody else can commit one that does. */
export async function dropSuccessor(folder: string): Promise<void> {
  const path = successorFolder(folder)
  try {
    await deleteLog(path, undefined)
  } catch (error) {
    throw diskError(error, `deleting ${path}`)
  }
}

function discardedFolder(path: string): string {
  return `${path}.discarded`
}

async function idOf(folder: string): Promise<string | undefined> {
  return (await LocalWalFolder.identify(folder))?.walId
}

async function renameIfPresent(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}

/** Deletes a log folder unless it is the one to keep; what is not a log's file stays, and the folder with it. */
async function deleteLog(folder: string, keepId: string | undefined): Promise<void> {
  if (!existsSync(folder)) return
  if (keepId !== undefined && (await idOf(folder)) === keepId) {
    throw new MoraineError('INTERNAL', `refusing to delete ${folder}: it is the log of the database`)
  }
  const names = await namesIn(folder)
  for (const { name } of segmentsAmong(names)) await deleteIfPresent(join(folder, name))
  for (const epoch of ownersAmong(names)) await deleteIfPresent(join(folder, ownerMarkName(epoch)))
  for (const name of names.filter(isTemporaryHeader)) await deleteIfPresent(join(folder, name))
  // The header last: as long as there is anything of the log, it can be told whose it was.
  await deleteIfPresent(join(folder, WAL_HEADER_NAME))
  try {
    await rmdir(folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EEXIST') throw error
  }
}
