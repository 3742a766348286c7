import { type FileHandle, link, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'

/** An open segment file. */
export interface CacheFile {
  readonly sizeBytes: number
  /** Fills the array from `position` on; gives how many bytes there were. */
  read(target: Uint8Array, position: number): Promise<number>
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Waits for the calls under way. */
  close(): Promise<void>
}

/** What the disk cache asks of a disk. Tests put a faulty one in its place. */
export interface CacheDisk {
  makeFolder(path: string): Promise<void>
  /** The names in a folder; none when it is not there. */
  list(path: string): Promise<string[]>
  /** Undefined when there is no such file. */
  readSmall(path: string): Promise<Uint8Array | undefined>
  /** Creates a small file with its content or not at all; false when the name was taken. `via` is a free name beside it. */
  createSmall(path: string, via: string, content: Uint8Array): Promise<boolean>
  replaceSmall(path: string, via: string, content: Uint8Array): Promise<void>
  /** Undefined when there is no such file. */
  openFile(path: string): Promise<CacheFile | undefined>
  /** Fails when the name is taken. */
  createFile(path: string): Promise<CacheFile>
  /** A file or a folder with all that is in it; fine when there is none. */
  remove(path: string): Promise<void>
}

/** The local disk. Nothing is synced: what a crash of the machine loses or garbles is missed, not believed. */
export const localCacheDisk: CacheDisk = {
  async makeFolder(path) {
    await mkdir(path, { recursive: true, mode: 0o700 })
  },
  list: (path) => orIfAbsent(readdir(path), []),
  readSmall: (path) => orIfAbsent<Uint8Array | undefined>(readFile(path), undefined),
  async createSmall(path, via, content) {
    await writeFile(via, content, { mode: 0o600 })
    try {
      await link(via, path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      // A file system without hard links: as whole, only not exclusive.
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error
      await rename(via, path)
      return true
    } finally {
      await rm(via, { force: true })
    }
  },
  async replaceSmall(path, via, content) {
    await writeFile(via, content, { mode: 0o600 })
    await rename(via, path)
  },
  async openFile(path) {
    const handle = await orIfAbsent<FileHandle | undefined>(open(path, 'r'), undefined)
    if (handle === undefined) return undefined
    try {
      return new LocalCacheFile(handle, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  },
  async createFile(path) {
    return new LocalCacheFile(await open(path, 'wx+', 0o600), 0)
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
}

class LocalCacheFile implements CacheFile {
  readonly sizeBytes: number
  readonly #handle: FileHandle

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle
    this.sizeBytes = sizeBytes
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(target, filled, target.length - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      done += (await this.#handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** The `code` of a failed system call, such as ENOENT; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

async function orIfAbsent<Result>(call: Promise<Result>, absent: Result): Promise<Result> {
  try {
    return await call
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return absent
    throw error
  }
}
