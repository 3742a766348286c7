import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MoraineError, type Random, randomHex } from '@moraine/base'
import type { JsonValue } from 'moraine'
import type { OutputSink } from './job.ts'

const PART = /^part-(\d{8})-[0-9a-f]{8}\.jsonl$/
const PENDING = '.pending'

/** What a checkpoint keeps of a part that is written and not shown yet. */
type Transaction = { readonly part: string }

/**
 * Rows as JSON lines in a folder, each exactly once: two-phase commit by renaming.
 *
 *   part-<number>-<unique>.jsonl.pending   written and synced when a checkpoint is taken; nobody's result yet
 *   part-<number>-<unique>.jsonl           renamed when the checkpoint is complete, or by the next start
 *
 * Rows are in memory until the checkpoint after them, so memory for sinks is what a job emits from one checkpoint to the next.
 */
export class FileSink implements OutputSink {
  readonly name: string
  readonly folder: string
  readonly #random: Random
  #lines: string[] = []
  #nextNumber = 0
  /** Counts the starts of the job, so that what an earlier one has left unfinished does not meddle with the present one. */
  #start = 0

  constructor(name: string, folder: string, random: Random) {
    this.name = name
    this.folder = folder
    this.#random = random
  }

  write(row: JsonValue): void {
    this.#lines.push(JSON.stringify(row))
  }

  async prepare(): Promise<Transaction | undefined> {
    const lines = this.#lines
    if (lines.length === 0) return undefined
    // From here on, and before anything is waited for, rows are the next transaction's.
    this.#lines = []
    const start = this.#start
    const part = `part-${String(this.#nextNumber++).padStart(8, '0')}-${randomHex(this.#random, 4)}.jsonl`
    try {
      await writeSynced(join(this.folder, part + PENDING), `${lines.join('\n')}\n`)
      await syncFolder(this.folder)
    } catch (error) {
      if (start === this.#start) this.#lines = lines.concat(this.#lines)
      throw error
    }
    return { part }
  }

  async commit(transaction: JsonValue): Promise<void> {
    const { part } = transaction as Transaction
    const shown = join(this.folder, part)
    try {
      await rename(shown + PENDING, shown)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      if (!(await readdir(this.folder)).includes(part)) {
        throw new MoraineError('CORRUPTION', `${shown} is part of a checkpoint and is gone, committed or not: the rows in it are lost`)
      }
    }
    await syncFolder(this.folder)
  }

  /** What was begun or prepared after the checkpoint that the job goes back to never happened. */
  async abortUnknown(known: readonly JsonValue[]): Promise<void> {
    this.#lines = []
    this.#start++
    await mkdir(this.folder, { recursive: true })
    const kept = new Set(known.map((transaction) => (transaction as Transaction).part))
    for (const name of await readdir(this.folder)) {
      const match = PART.exec(name.endsWith(PENDING) ? name.slice(0, -PENDING.length) : name)
      if (match === null) continue
      if (name.endsWith(PENDING) && !kept.has(name.slice(0, -PENDING.length))) await rm(join(this.folder, name), { force: true })
      else this.#nextNumber = Math.max(this.#nextNumber, Number(match[1]) + 1)
    }
  }
}

/** The rows that a sink has shown, in the order in which they were committed. */
export async function* readRows<Row extends JsonValue>(folder: string): AsyncGenerator<Row> {
  for (const name of (await readdir(folder)).sort()) {
    if (!PART.test(name)) continue
    const text = await readFile(join(folder, name), 'utf8')
    for (const line of text.split('\n')) if (line !== '') yield JSON.parse(line) as Row
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes names durable: a file that is synced in a folder that is not may be gone after a power failure. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
