import { existsSync } from 'node:fs'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { isMoraineError, MoraineError, type Random, randomHex } from '@moraine/base'
import { diskError, errnoOf } from './disk-error.ts'
import { createFileWhole, createFolder, deleteIfPresent, syncFolder } from './durable-file.ts'
import { listSegments, type LocalWalSegment, namesIn, replaySegments, startOfLog } from './local-wal-segments.ts'
import { LocalWalWriter, type LocalWalWriterOptions } from './local-wal-writer.ts'
import {
  isTemporaryHeader,
  ownerMarkName,
  ownersAmong,
  segmentsAmong,
  temporaryHeaderName,
  WAL_HEADER_NAME,
} from './wal-file-names.ts'
import { decodeFolderHeader, encodeFolderHeader, type WalIdentity } from './wal-header.ts'
import type { WalRecord } from './wal-record.ts'

export interface LocalWalFolderOptions {
  readonly databaseId: string
  /** Gives a new folder its id. */
  readonly random: Random
  /** Make the folder if it is not there. Without it nothing is written, so a log can be inspected where it lies. */
  readonly create: boolean
}

/** What a log holds above the last flush, for the message of a refusal. */
export interface LocalWalSurvey {
  readonly segments: number
  /** Writes above the flushed sequence that can be read. */
  readonly writes: number
  readonly firstSeq?: number
  readonly lastSeq?: number
  readonly sizeBytes: number
  /** Why reading stopped early, when it did. */
  readonly damage?: string
}

/**
 * A folder that holds a database's local write-ahead log: whose it is, what it holds, and which epoch may append.
 * Nothing that this class does not understand is ever deleted.
 *
 * **Ownership.** A folder carries the mark `<epoch>.owner` of the one epoch that may acknowledge writes. Taking over
 * makes the new mark, removes all older ones, and only then reads the segments; a writer acknowledges only after it
 * saw its own mark behind its bytes. The proof is a file that is present, not a fence that is: a mark once removed
 * never comes back (epochs are never used twice), so nothing has to be kept to hold an old writer off, and moving
 * the folder away stops its writer, too.
 */
export class LocalWalFolder {
  readonly folder: string
  readonly databaseId: string
  readonly walId: string

  private constructor(folder: string, identity: WalIdentity) {
    this.folder = folder
    this.databaseId = identity.databaseId
    this.walId = identity.walId
  }

  /**
   * Opens a log folder. INVALID when it belongs to another database, or is not there and `create` is false;
   * CORRUPTION when its header is damaged, or missing beside segments; UNAVAILABLE when the disk refuses.
   */
  static async open(folder: string, options: LocalWalFolderOptions): Promise<LocalWalFolder> {
    const path = resolve(folder)
    let identity = await LocalWalFolder.identify(path)
    if (identity === undefined) {
      if (!options.create) throw new MoraineError('INVALID', `there is no write-ahead log in ${path}`)
      identity = await createIdentity(path, options)
    }
    if (identity.databaseId !== options.databaseId) {
      const message =
        `the write-ahead log in ${path} belongs to database ${identity.databaseId}, ` +
        `not to ${options.databaseId}: name another WAL folder, this one was left untouched`
      const detail = { folder: path, found: identity.databaseId, expected: options.databaseId }
      throw new MoraineError('INVALID', message, { detail })
    }
    if (options.create) await deleteTemporaryHeaders(path)
    return new LocalWalFolder(path, identity)
  }

  /** Whose log a folder is; undefined when it is none yet. Reads only. */
  static async identify(folder: string): Promise<WalIdentity | undefined> {
    const path = join(resolve(folder), WAL_HEADER_NAME)
    let header: Uint8Array
    try {
      header = await readFile(path)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw diskError(error, `reading ${path}`)
    }
    return decodeFolderHeader(header, path)
  }

  /**
   * What the folder holds above `flushedSeq`; all it holds when that is undefined, because the sequence numbers of
   * another lineage cannot be compared. Damage does not fail it; what stands before the damage is counted.
   */
  async survey(flushedSeq: number | undefined): Promise<LocalWalSurvey> {
    let segments: LocalWalSegment[] = []
    let firstSeq: number | undefined
    let lastSeq: number | undefined
    let damage: string | undefined
    try {
      segments = await this.#segments()
      const after = flushedSeq ?? startOfLog(segments)
      for await (const record of replaySegments(segments, after)) {
        firstSeq ??= Math.max(record.firstSeq, after + 1)
        lastSeq = record.firstSeq + record.count - 1
      }
    } catch (error) {
      if (!isMoraineError(error, 'CORRUPTION')) throw error
      damage = error.message
    }
    const counted = { segments: segments.length, sizeBytes: segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) }
    const found = damage === undefined ? counted : { ...counted, damage }
    if (firstSeq === undefined || lastSeq === undefined) return { ...found, writes: 0 }
    return { ...found, writes: lastSeq - firstSeq + 1, firstSeq, lastSeq }
  }

  /**
   * Makes `newEpoch` the owner, so that no writer of an older epoch acknowledges anything any more. Must come before
   * `replay`, or the replay could miss a write that is acknowledged after it. FENCED when a newer epoch was here.
   */
  async fence(newEpoch: number): Promise<void> {
    const mark = join(this.folder, ownerMarkName(newEpoch))
    try {
      await this.#refuseIfOlder(newEpoch)
      await writeFile(mark, '', { mode: 0o600 })
      // Of two takers that each make a mark and then look, at least one sees the other; the lower one gives way.
      const older = await this.#refuseIfOlder(newEpoch, mark)
      for (const epoch of older) await deleteIfPresent(join(this.folder, ownerMarkName(epoch)))
      await syncFolder(this.folder)
    } catch (error) {
      throw diskError(error, `taking over ${this.folder}`)
    }
  }

  /** Throws FENCED when the folder shows a newer epoch; otherwise gives the older epochs that have a mark. */
  async #refuseIfOlder(epoch: number, ownMark?: string): Promise<number[]> {
    const names = await namesIn(this.folder)
    const owners = ownersAmong(names)
    const newest = Math.max(0, ...owners, ...segmentsAmong(names).map((segment) => segment.epoch))
    if (newest > epoch) {
      if (ownMark !== undefined) await deleteIfPresent(ownMark)
      const message = `the write-ahead log in ${this.folder} belongs to epoch ${newest} already, this is epoch ${epoch}`
      throw new MoraineError('FENCED', message, { detail: { epoch, newest, folder: this.folder } })
    }
    return owners.filter((owner) => owner < epoch)
  }

  /**
   * The records above `flushedSeq` in order, without gaps; the first may start at or below it and is given whole, so
   * the caller skips the writes it has. A payload is a view of its segment's bytes: copy what is kept. CORRUPTION,
   * with the file and the byte, when a segment is damaged or a part of the history is missing.
   */
  async *replay(flushedSeq: number): AsyncGenerator<WalRecord, void, undefined> {
    yield* replaySegments(await this.#segments(), flushedSeq)
  }

  /** Deletes the segments of epochs below `epoch`, oldest first. To be called once their writes are flushed. */
  async dropEpochsBelow(epoch: number): Promise<void> {
    try {
      for (const segment of segmentsAmong(await namesIn(this.folder))) {
        if (segment.epoch < epoch) await deleteIfPresent(join(this.folder, segment.name))
      }
    } catch (error) {
      throw diskError(error, `deleting flushed segments in ${this.folder}`)
    }
  }

  /**
   * Renames the folder to a sibling and returns the new path; this object is of no use afterwards. The log can still
   * be opened and read there, and a writer that was using it is fenced.
   */
  async setAside(): Promise<string> {
    const base = `${this.folder}.aside-${this.walId.slice(0, 8)}`
    let target = base
    for (let i = 2; existsSync(target); i++) target = `${base}-${i}`
    try {
      await rename(this.folder, target)
      await syncFolder(dirname(target))
    } catch (error) {
      throw diskError(error, `moving ${this.folder} aside to ${target}`)
    }
    return target
  }

  /**
   * Starts to append as `options.epoch`, which must own the folder ({@link fence}); call it when the replay is over.
   * FENCED when the epoch lost the folder meanwhile.
   */
  async startWriter(options: LocalWalWriterOptions): Promise<LocalWalWriter> {
    try {
      // What was replayed comes first in history, so it must not be easier to lose than what is appended now.
      for (const segment of segmentsAmong(await namesIn(this.folder))) {
        if (segment.epoch < options.epoch) await syncFile(join(this.folder, segment.name))
      }
      return await LocalWalWriter.start(this.folder, { databaseId: this.databaseId, walId: this.walId }, options)
    } catch (error) {
      throw diskError(error, `starting a log segment in ${this.folder}`)
    }
  }

  #segments(): Promise<LocalWalSegment[]> {
    return listSegments(this.folder, { databaseId: this.databaseId, walId: this.walId })
  }
}

async function createIdentity(folder: string, options: LocalWalFolderOptions): Promise<WalIdentity> {
  try {
    await createFolder(folder)
    if (segmentsAmong(await namesIn(folder)).length > 0) {
      const message = `${join(folder, WAL_HEADER_NAME)} is missing, but log segments are there: whose they are is unknown`
      throw new MoraineError('CORRUPTION', message, { detail: { folder } })
    }
    // Another process may be making the same folder; whoever creates the header first decides the id.
    for (let attempt = 0; attempt < 10; attempt++) {
      const identity: WalIdentity = { databaseId: options.databaseId, walId: randomHex(options.random, 16) }
      const via = temporaryHeaderName(identity.walId)
      const created = await createFileWhole(folder, WAL_HEADER_NAME, via, encodeFolderHeader(identity))
      if (created) return identity
      const existing = await LocalWalFolder.identify(folder)
      if (existing !== undefined) return existing
    }
  } catch (error) {
    throw diskError(error, `creating the log folder ${folder}`)
  }
  throw new MoraineError('UNAVAILABLE', `the log folder ${folder} could not be created: another process keeps deleting it`)
}

/** Left by a crash between two steps of creation. One still in use by another process makes that one look again. */
async function deleteTemporaryHeaders(folder: string): Promise<void> {
  try {
    for (const name of await namesIn(folder)) {
      if (isTemporaryHeader(name)) await deleteIfPresent(join(folder, name))
    }
  } catch (error) {
    throw diskError(error, `cleaning ${folder}`)
  }
}

async function syncFile(path: string): Promise<void> {
  try {
    await using file = await open(path, 'r+')
    await file.datasync()
  } catch (error) {
    // Dropped by a flush of this very opening; then there is nothing left to lose.
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
