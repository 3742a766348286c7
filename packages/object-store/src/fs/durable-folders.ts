import { mkdir, open, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from './file-error.ts'

/**
 * The folders below one root: made when an object needs them, removed when the last object has left, and known to be
 * on disk before an object in them is acknowledged. A file is durable only when the folder that names it is, and that
 * folder only when its own parent is; so each folder's entry is synced once per process, also when another caller
 * made the folder a moment ago and may not have synced it yet.
 */
export class DurableFolders {
  readonly #root: string
  readonly #fsync: boolean
  readonly #checkInside: (folder: string) => Promise<void>
  readonly #ensured = new Map<string, Promise<void>>()

  /** `checkInside` rejects when an existing folder is reached through a symbolic link. */
  constructor(root: string, fsync: boolean, checkInside: (folder: string) => Promise<void>) {
    this.#root = root
    this.#fsync = fsync
    this.#checkInside = checkInside
  }

  /** Resolves when `folder` (the root or below it) exists durably. May reject with ENOENT when folders vanish meanwhile. */
  ensure(folder: string): Promise<void> {
    let ensured = this.#ensured.get(folder)
    if (ensured === undefined) {
      ensured = folder === this.#root ? this.#makeRoot() : this.#make(folder)
      this.#ensured.set(folder, ensured)
      ensured.catch(() => {
        if (this.#ensured.get(folder) === ensured) this.#ensured.delete(folder)
      })
    }
    return ensured
  }

  /** Forgets what is known about `folder` and the folders above it: somebody removed one of them. */
  forget(folder: string): void {
    for (let at = folder; at.length >= this.#root.length; at = dirname(at)) {
      this.#ensured.delete(at)
      if (at === this.#root) return
    }
  }

  /** Removes `folder` and the folders above it as far as they are empty, never the root itself. */
  async removeEmpty(folder: string): Promise<void> {
    for (let at = folder; at !== this.#root; at = dirname(at)) {
      this.#ensured.delete(at)
      try {
        await rmdir(at)
      } catch (error) {
        // Not empty (any more), or already gone: a concurrent put or delete has taken over.
        if (systemCode(error) === 'ENOENT') continue
        return
      }
    }
  }

  /** Makes new and removed names in `folder` durable. */
  async sync(folder: string): Promise<void> {
    if (!this.#fsync) return
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async #makeRoot(): Promise<void> {
    const topmost = await mkdir(this.#root, { recursive: true })
    if (topmost === undefined) return
    for (let at = this.#root; at.length >= topmost.length; at = dirname(at)) await this.sync(dirname(at))
  }

  async #make(folder: string): Promise<void> {
    const parent = dirname(folder)
    await this.ensure(parent)
    await this.#checkInside(parent)
    try {
      await mkdir(folder)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
    await this.sync(parent)
  }
}
