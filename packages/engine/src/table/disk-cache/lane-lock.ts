import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { type Random, randomHex, utf8Decode, utf8Encode } from '@moraine/base'
import { type CacheDisk, errnoOf } from './cache-disk.ts'

const LOCK_FILE = 'lock'

/** Lanes that this process holds: a lock with our process id that is not among them is of an earlier process. */
const held = new Set<string>()

/** The file that says which process uses a lane. */
export class LaneLock {
  readonly #disk: CacheDisk
  readonly #path: string
  readonly #content: Uint8Array

  private constructor(disk: CacheDisk, path: string, content: Uint8Array) {
    this.#disk = disk
    this.#path = path
    this.#content = content
  }

  /** Undefined when another process, or another database handle of this one, has the lane. */
  static async take(disk: CacheDisk, lane: string, random: Random): Promise<LaneLock | undefined> {
    const path = resolve(join(lane, LOCK_FILE))
    if (held.has(path)) return undefined
    // At once, so that two openings in this process do not both look first.
    held.add(path)
    try {
      const content = utf8Encode(`${process.pid}\n${await startOf(process.pid)}\n${hostname()}\n${randomHex(random, 8)}\n`)
      for (let attempt = 0; attempt < 3; attempt++) {
        if (await disk.createSmall(path, `${path}-${randomHex(random, 6)}`, content)) return new LaneLock(disk, path, content)
        const found = await disk.readSmall(path)
        if (found !== undefined && (await isAlive(utf8Decode(found)))) break
        await disk.remove(path)
      }
    } catch (error) {
      held.delete(path)
      throw error
    }
    held.delete(path)
    return undefined
  }

  async release(): Promise<void> {
    held.delete(this.#path)
    const found = await this.#disk.readSmall(this.#path)
    // Somebody who took us for dead has it now.
    if (found !== undefined && Buffer.compare(found, this.#content) === 0) await this.#disk.remove(this.#path)
  }
}

/**
 * Whether the process of a lock is still there. Process ids are used again, after a restart of a container nearly always the
 * same ones, so the time at which the process started must be the same, where the system tells it. A process of another
 * host name counts as gone: a container that was made anew has another name and wants its cache back.
 */
async function isAlive(lock: string): Promise<boolean> {
  const [pid, start, host] = lock.split('\n')
  const id = Number(pid)
  if (!Number.isSafeInteger(id) || id <= 0 || host !== hostname() || id === process.pid) return false
  try {
    process.kill(id, 0)
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') return false
  }
  return (await startOf(id)) === start
}

/** When a process started, as the system writes it; empty where there is no such file. */
async function startOf(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1')
    // The name, in parentheses, may hold blanks; the start is the 20th field behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
