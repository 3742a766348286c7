/**
 * The file-system steps whose order durability depends on. A new name survives a crash only when the folder that
 * holds it has been synced, too; a file's bytes only when the file has.
 */
import { link, mkdir, open, rename, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { errnoOf } from './disk-error.ts'

/** Makes the names in a folder durable. Where folders cannot be synced (Windows), there is nothing to do. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!['EISDIR', 'EPERM', 'EINVAL', 'ENOTSUP'].includes(errnoOf(error) ?? '')) throw error
  }
}

/** Makes a folder and its missing parents, all durable. */
export async function createFolder(folder: string): Promise<void> {
  const path = resolve(folder)
  const topmostCreated = await mkdir(path, { recursive: true, mode: 0o700 })
  if (topmostCreated === undefined) return
  const stop = dirname(resolve(topmostCreated))
  let child = path
  do {
    child = dirname(child)
    await syncFolder(child)
  } while (child !== stop && child !== dirname(child))
}

/**
 * Creates a file with its whole content or not at all, durably. Returns false when the name exists already, even if
 * it appeared in this very moment: of two processes only one creates.
 */
export async function createFileWhole(folder: string, name: string, via: string, content: Uint8Array): Promise<boolean> {
  const temporary = join(folder, via)
  await writeFile(temporary, content, { flush: true })
  try {
    await link(temporary, join(folder, name))
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'EEXIST' || errno === 'ENOENT') return false
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errno ?? '')) throw error
    // A file system without hard links; renaming is as whole, only not exclusive.
    await rename(temporary, join(folder, name))
  }
  await deleteIfPresent(temporary)
  await syncFolder(folder)
  return true
}

export async function deleteIfPresent(path: string): Promise<void> {
  try {
    await unlink(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
