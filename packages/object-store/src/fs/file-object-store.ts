import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, readdir, realpath, rename, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Clock, MoraineError, randomHex, systemClock, systemRandom, throwIfAborted } from '@moraine/base'
import PQueue from 'p-queue'
import { checkMaxKeys, checkRange, resolveRange } from '../call-options.ts'
import { checkKey, checkPrefix } from '../object-key.ts'
import { sourcePieces } from '../object-source.ts'
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectBody,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  ObjectStoreTraits,
  PutOptions,
  PutOutcome,
} from '../object-store.ts'
import { DurableFolders } from './durable-folders.ts'
import { fileError, systemCode } from './file-error.ts'
import { listFolder } from './list-folder.ts'
import { writePieces } from './write-pieces.ts'

export interface FileObjectStoreOptions {
  /** The folder that holds the objects. It is made by the first put. */
  readonly root: string
  readonly clock?: Clock | undefined
  /** Sync files and folders before a put resolves. Default true; false gives up durability on power loss for speed. */
  readonly fsync?: boolean | undefined
}

/** Holds bodies that are being written. No key may start with it and no listing shows it. */
const TEMP_FOLDER = '.moraine-tmp'
const STALE_TEMP_MS = 24 * 60 * 60 * 1000
const MAX_READ_BYTES = 16 * 1024 * 1024
const CONCURRENT_DELETES = 16
/** How often a put makes its folder again when concurrent deletes keep removing it for being empty. */
const MAX_PUBLISH_ATTEMPTS = 100

/**
 * An object store in a folder: the object `a/b` is the file `<root>/a/b`. A body is written and synced under a unique
 * temporary name, then appears under its own by `link` (creation: the file system decides who was first) or `rename`
 * (replacement), and then the folder is synced. Any number of processes may share the folder. Deletes are not synced:
 * an object that comes back after a power failure is garbage that the next collection finds.
 */
export class FileObjectStore implements ObjectStore {
  readonly url: string
  readonly traits: ObjectStoreTraits = { orderedList: true }
  readonly #root: string
  readonly #temp: string
  readonly #clock: Clock
  readonly #fsync: boolean
  readonly #folders: DurableFolders
  #realRoot: string | undefined
  #swept = false
  #closed = false

  constructor(options: string | FileObjectStoreOptions) {
    const { root, clock, fsync } = typeof options === 'string' ? ({ root: options } as FileObjectStoreOptions) : options
    if (typeof root !== 'string' || root === '' || root.includes('\0')) {
      throw new MoraineError('INVALID', 'the root of a FileObjectStore must be the path of a folder')
    }
    this.#root = resolve(root)
    this.#temp = join(this.#root, TEMP_FOLDER)
    this.#clock = clock ?? systemClock
    this.#fsync = fsync ?? true
    this.#folders = new DurableFolders(this.#root, this.#fsync, (folder) => this.#checkInside(folder))
    this.url = pathToFileURL(this.#root).href
  }

  async get(key: string, options?: GetOptions): Promise<ObjectBody | undefined> {
    const path = this.#pathOf(key)
    checkRange(options?.range)
    this.#admit(options)
    let handle: FileHandle | undefined
    try {
      // Without O_NONBLOCK, opening a pipe that somebody left here would hang.
      handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      const [stats] = await Promise.all([handle.stat(), this.#checkInside(dirname(path))])
      if (!stats.isFile()) return undefined
      const { start, end } = resolveRange(options?.range, stats.size)
      return { bytes: await readBytes(handle, start, end, options?.signal), objectSizeBytes: stats.size }
    } catch (error) {
      return await this.#absentOr(error, 'read', path)
    } finally {
      await handle?.close()
    }
  }

  async put(key: string, body: ObjectSource, options?: PutOptions): Promise<PutOutcome> {
    const path = this.#pathOf(key)
    const pieces = sourcePieces(body)
    this.#admit(options)
    const ifAbsent = options?.ifAbsent === true
    if (ifAbsent && (await this.head(key, options)) !== undefined) return 'exists'
    const temp = join(this.#temp, `${process.pid}-${randomHex(systemRandom, 12)}`)
    try {
      await this.#writeTemp(temp, pieces, options?.signal)
      return await this.#publish(temp, path, ifAbsent, options?.signal)
    } catch (error) {
      throw await this.#writeError(error, path)
    } finally {
      // After a link it is a second name, after a rename it is gone, after a failure it is garbage.
      await unlink(temp).catch(() => {})
    }
  }

  async head(key: string, options?: CallOptions): Promise<ObjectInfo | undefined> {
    const path = this.#pathOf(key)
    this.#admit(options)
    try {
      const [info] = await Promise.all([this.#info(key, path), this.#checkInside(dirname(path))])
      return info
    } catch (error) {
      return await this.#absentOr(error, 'look up', path)
    }
  }

  async list(prefix: string, options?: ListOptions): Promise<ListPage> {
    checkPrefix(prefix)
    const maxKeys = checkMaxKeys(options)
    this.#admit(options)
    const after = options?.token ?? options?.startAfter
    const storeTimeMs = this.#clock.nowMs()
    const folder = join(this.#root, prefix.slice(0, prefix.lastIndexOf('/') + 1))
    try {
      await this.#checkInside(resolve(folder))
      const keys = await listFolder(this.#root, { prefix, after, limit: maxKeys + 1, hidden: TEMP_FOLDER })
      const more = keys.length > maxKeys
      if (more) keys.pop()
      const objects = await Promise.all(keys.map((key) => this.#info(key, join(this.#root, key))))
      throwIfAborted(options?.signal)
      return {
        objects: objects.filter((info) => info !== undefined),
        ...(more && { nextToken: keys[maxKeys - 1] as string }),
        storeTimeMs,
      }
    } catch (error) {
      await this.#absentOr(error, 'list', folder)
      return { objects: [], storeTimeMs }
    }
  }

  async delete(key: string, options?: CallOptions): Promise<void> {
    const path = this.#pathOf(key)
    this.#admit(options)
    await this.#unlink(path)
    await this.#folders.removeEmpty(dirname(path))
  }

  async deleteMany(keys: readonly string[], options?: CallOptions): Promise<void> {
    const paths = keys.map((key) => this.#pathOf(key))
    this.#admit(options)
    const queue = new PQueue({ concurrency: CONCURRENT_DELETES })
    const deletes = paths.map((path) => () => {
      throwIfAborted(options?.signal)
      return this.#unlink(path)
    })
    const outcomes = await Promise.allSettled(deletes.map((unlinkOne) => queue.add(unlinkOne)))
    for (const folder of new Set(paths.map((path) => dirname(path)))) await this.#folders.removeEmpty(folder)
    const failure = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failure !== undefined) throw failure.reason
  }

  async close(): Promise<void> {
    this.#closed = true
    // Stays when it holds the bodies of other writers or of a crashed one.
    await rmdir(this.#temp).catch(() => {})
  }

  #admit(options: CallOptions | undefined): void {
    throwIfAborted(options?.signal)
    if (this.#closed) throw new MoraineError('CLOSED', `the object store ${this.url} is closed`)
  }

  /** Size and time of a regular file; undefined when there is none (any more). */
  async #info(key: string, path: string): Promise<ObjectInfo | undefined> {
    try {
      const stats = await lstat(path)
      if (!stats.isFile()) return undefined
      return { key, sizeBytes: stats.size, lastModifiedMs: Math.floor(stats.mtimeMs) }
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  #pathOf(key: string): string {
    checkKey(key)
    if (key === TEMP_FOLDER || key.startsWith(`${TEMP_FOLDER}/`) || (sep === '\\' && /[\\:]/.test(key))) {
      throw new MoraineError('INVALID', `a store in a folder keeps the name ${JSON.stringify(key)} to itself`)
    }
    return join(this.#root, key)
  }

  async #writeTemp(temp: string, pieces: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
    const handle = await this.#createTemp(temp)
    try {
      await writePieces(handle, pieces, signal)
      // An injected clock is the time of this store, so that objects age as it says.
      const nowSeconds = this.#clock.nowMs() / 1000
      if (this.#clock !== systemClock) await handle.utimes(nowSeconds, nowSeconds)
      if (this.#fsync) await handle.sync()
    } finally {
      await handle.close()
    }
  }

  async #createTemp(temp: string): Promise<FileHandle> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#folders.ensure(this.#temp)
        await this.#checkInside(this.#temp)
        if (!this.#swept) await this.#sweepStaleTemps()
        return await open(temp, 'wx')
      } catch (error) {
        // Another store on the same root removed the empty folder when it closed.
        if (systemCode(error) !== 'ENOENT' || attempt === MAX_PUBLISH_ATTEMPTS) throw error
        this.#folders.forget(this.#temp)
      }
    }
  }

  /** Frees what crashed writers left behind. Their names are never used again, so this is only about space. */
  async #sweepStaleTemps(): Promise<void> {
    this.#swept = true
    for (const name of await readdir(this.#temp)) {
      const path = join(this.#temp, name)
      const stats = await lstat(path).catch(() => undefined)
      if (stats !== undefined && stats.mtimeMs < this.#clock.nowMs() - STALE_TEMP_MS) await unlink(path).catch(() => {})
    }
  }

  async #publish(temp: string, path: string, ifAbsent: boolean, signal: AbortSignal | undefined): Promise<PutOutcome> {
    const folder = dirname(path)
    for (let attempt = 0; ; attempt++) {
      throwIfAborted(signal)
      try {
        await this.#folders.ensure(folder)
        await this.#checkInside(folder)
        await (ifAbsent ? link(temp, path) : rename(temp, path))
        break
      } catch (error) {
        const code = systemCode(error)
        if (code === 'ENOENT' && attempt < MAX_PUBLISH_ATTEMPTS) {
          this.#folders.forget(folder)
        } else if (code === 'EEXIST' || code === 'EISDIR' || code === 'ENOTEMPTY') {
          // A network file system may report the echo of our own link: then the body has two names.
          if (ifAbsent && (await stat(temp)).nlink > 1) break
          if (!(await isFolder(path))) {
            if (ifAbsent) return 'exists'
          } else if (!(await removedEmptyFolder(path))) {
            throw new MoraineError('INVALID', `${path} is a folder of other objects and cannot be an object itself`)
          }
          if (attempt >= MAX_PUBLISH_ATTEMPTS) throw error
        } else {
          throw error
        }
      }
    }
    try {
      await this.#folders.sync(folder)
    } catch (error) {
      // A concurrent delete may have removed object and folder in between: then there is nothing to sync.
      if (systemCode(error) !== 'ENOENT') throw fileError(error, 'make durable', path, true)
    }
    return 'created'
  }

  async #unlink(path: string): Promise<void> {
    try {
      await this.#checkInside(dirname(path))
      await unlink(path)
    } catch (error) {
      // EISDIR and, on some systems, EPERM: a folder, which is no object.
      if (systemCode(error) === 'EISDIR' || (systemCode(error) === 'EPERM' && (await isFolder(path)))) return
      await this.#absentOr(error, 'delete', path)
    }
  }

  /** Throws INVALID when a folder of this store is reached through a symbolic link, which may lead out of the root. */
  async #checkInside(folder: string): Promise<void> {
    this.#realRoot ??= await realpath(this.#root)
    const expected = this.#realRoot + folder.slice(this.#root.length)
    if ((await realpath(folder)) === expected) return
    throw new MoraineError('INVALID', `${folder} is a symbolic link or another spelling of a name; a store follows neither`)
  }

  /** Nothing, when the error only says that there is no such object; otherwise throws what it means. */
  async #absentOr(error: unknown, doing: string, path: string): Promise<undefined> {
    const code = systemCode(error)
    if (code === 'ENOENT') return undefined
    if (code === 'ENOTDIR' && !(await this.#rootIsFile())) return undefined
    throw code === 'ENOTDIR' ? this.#notAFolder(error) : fileError(error, doing, path)
  }

  async #writeError(error: unknown, path: string): Promise<MoraineError> {
    const code = systemCode(error)
    if (code !== 'ENOTDIR' && code !== 'EEXIST') return fileError(error, 'write', path)
    if (await this.#rootIsFile()) return this.#notAFolder(error)
    return new MoraineError('INVALID', `cannot write ${path}: a folder on the way to it is an object`, { cause: error })
  }

  async #rootIsFile(): Promise<boolean> {
    try {
      return !(await stat(this.#root)).isDirectory()
    } catch (error) {
      return systemCode(error) === 'ENOTDIR'
    }
  }

  #notAFolder(cause: unknown): MoraineError {
    return new MoraineError('INVALID', `${this.#root} is not a folder; give the path of a folder`, { cause })
  }
}

async function readBytes(
  handle: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  // Not pooled: exactly this size, and nothing else refers to it. Not zeroed: every byte is read below.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(end - start).buffer)
  for (let at = 0; at < bytes.length; ) {
    throwIfAborted(signal)
    const { bytesRead } = await handle.read(bytes, at, Math.min(bytes.length - at, MAX_READ_BYTES), start + at)
    if (bytesRead === 0) {
      throw new MoraineError('UNAVAILABLE', 'a file became shorter while it was read', { detail: { retryable: true } })
    }
    at += bytesRead
  }
  return bytes
}

async function isFolder(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined)
  return stats?.isDirectory() === true
}

/** Deletes leave no empty folders, but a crash or another program may have; they must not block a name. */
async function removedEmptyFolder(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    return systemCode(error) === 'ENOENT'
  }
}
