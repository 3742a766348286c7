import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, MoraineError, SerialQueue, type Timer } from '@moraine/base'
import { diskError, errnoOf } from './disk-error.ts'
import { deleteIfPresent, syncFolder } from './durable-file.ts'
import { type CreateSegmentFile, createSegmentFile, type SegmentFile } from './segment-file.ts'
import { ownerMarkName, segmentName } from './wal-file-names.ts'
import { encodeSegmentHeader, WAL_HEADER_BYTES, type WalIdentity } from './wal-header.ts'
import { frameWalRecord } from './wal-record.ts'

/** When an append is on disk: before it resolves, some time later, or whenever the operating system likes. */
export type LocalWalSync = 'always' | 'interval' | 'never'

export interface LocalWalWriterOptions {
  readonly epoch: number
  /** Sequence of the first write to come: one above the last one replayed or flushed, the log has no gaps. */
  readonly firstSeq: number
  readonly sync: LocalWalSync
  /** How long acknowledged writes may stay unsynced with `interval`. */
  readonly syncIntervalMs: number
  readonly clock: Clock
}

export interface LocalWalWriterStats {
  readonly segments: number
  /** Size of the segments of this writer that exist. */
  readonly sizeBytes: number
  /** Bytes of records appended since the start, framing included. */
  readonly appendedBytes: number
  readonly syncs: number
}

/** A segment is read whole when it is replayed, so a long-lived memtable is spread over several. */
const SEGMENT_SIZE_LIMIT_BYTES = 64 * 1024 * 1024

interface ClosedSegment {
  readonly path: string
  readonly lastSeq: number
  readonly sizeBytes: number
}

/**
 * Appends groups of writes to the segments of one epoch. Made by `LocalWalFolder.startWriter`.
 *
 * Two rules carry the durability, and each has one place below. A segment is synced before its successor takes a
 * record, so that after a crash only the last segment of an epoch can end in a torn record. And an append is
 * acknowledged only if this epoch's owner mark still exists after the bytes were written: a new owner removes the
 * mark before it reads the segments, so either it reads the record or the mark is found missing here.
 *
 * A writer that failed once (full disk, failed sync, fenced) stays broken: what the disk holds is no longer known,
 * and later appends would stand behind a hole.
 */
export class LocalWalWriter {
  readonly #folder: string
  readonly #identity: WalIdentity
  readonly #options: LocalWalWriterOptions
  readonly #ownerMark: string
  readonly #createFile: CreateSegmentFile
  readonly #queue = new SerialQueue()
  readonly #closed: ClosedSegment[] = []
  #file: SegmentFile | undefined
  #path = ''
  #number = 0
  #position = 0
  #nextSeq: number
  #closedBytes = 0
  #appendedBytes = 0
  #syncedBytes = 0
  #syncs = 0
  #syncing: Promise<void> | undefined
  #timer: Timer | undefined
  #broken: MoraineError | undefined
  #closing: Promise<void> | undefined

  private constructor(
    folder: string,
    identity: WalIdentity,
    options: LocalWalWriterOptions,
    createFile: CreateSegmentFile,
  ) {
    this.#folder = folder
    this.#identity = identity
    this.#options = options
    this.#createFile = createFile
    this.#nextSeq = options.firstSeq
    this.#ownerMark = join(folder, ownerMarkName(options.epoch))
  }

  /** For `LocalWalFolder`, which fences first; tests give another `createFile`. */
  static async start(
    folder: string,
    identity: WalIdentity,
    options: LocalWalWriterOptions,
    createFile: CreateSegmentFile = createSegmentFile,
  ): Promise<LocalWalWriter> {
    const writer = new LocalWalWriter(folder, identity, options, createFile)
    await writer.#startSegment()
    return writer
  }

  /**
   * Appends one group; resolves when it is acknowledged: with `always` after the sync, otherwise after the write.
   * The pieces must not change until then. FENCED when another epoch took the folder over; UNAVAILABLE when the disk
   * failed, after which every append fails the same way.
   */
  append(firstSeq: number, count: number, payload: readonly Uint8Array[]): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    return this.#queue.run(() => this.#append(firstSeq, count, payload))
  }

  /** Resolves when every append that has resolved is on disk. */
  async sync(): Promise<void> {
    const target = this.#appendedBytes
    while (this.#syncedBytes < target) {
      if (this.#broken !== undefined) throw this.#broken
      this.#syncing ??= this.#syncOnce()
      await this.#syncing
    }
  }

  /** Starts a new segment, so that `release` can delete the old one as soon as its writes are flushed. */
  rotate(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    return this.#queue.run(() => this.#rotate())
  }

  /** Deletes the closed segments of this epoch whose every sequence is at most `flushedSeq`, oldest first. */
  release(flushedSeq: number): Promise<void> {
    return this.#queue.run(async () => {
      for (;;) {
        const oldest = this.#closed[0]
        if (oldest === undefined || oldest.lastSeq > flushedSeq) return
        try {
          await deleteIfPresent(oldest.path)
        } catch (error) {
          throw diskError(error, `deleting ${oldest.path}`)
        }
        this.#closed.shift()
        this.#closedBytes -= oldest.sizeBytes
      }
    })
  }

  stats(): LocalWalWriterStats {
    return {
      segments: this.#closed.length + (this.#file === undefined ? 0 : 1),
      sizeBytes: this.#closedBytes + (this.#file === undefined ? 0 : this.#position),
      appendedBytes: this.#appendedBytes,
      syncs: this.#syncs,
    }
  }

  /** Waits for queued appends, syncs (unless `never`), and closes the file. The segments stay. */
  close(): Promise<void> {
    this.#closing ??= this.#queue.run(() => this.#close())
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #append(firstSeq: number, count: number, payload: readonly Uint8Array[]): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    if (firstSeq !== this.#nextSeq || count < 1) {
      const message = `the log expects sequence ${this.#nextSeq} next, got ${count} writes from ${firstSeq}`
      throw new MoraineError('INTERNAL', message)
    }
    const pieces = frameWalRecord(firstSeq, count, payload)
    if (this.#position >= SEGMENT_SIZE_LIMIT_BYTES) await this.#rotate()
    const start = this.#position
    let size = 0
    for (const piece of pieces) size += piece.length
    try {
      await this.#openFile().write(pieces, start)
    } catch (error) {
      throw await this.#takeBack(diskError(error, `writing ${size} bytes to ${this.#path}`), start)
    }
    this.#position = start + size
    this.#appendedBytes += size
    this.#nextSeq = firstSeq + count
    if (this.#options.sync === 'always') {
      // A failed sync leaves a whole record, which a new owner may have replayed by now: it must not be taken back.
      await this.sync()
    } else if (this.#options.sync === 'interval') {
      this.#syncLater()
    }
    // The new owner may have replayed this record already, so it is left where it is.
    if (!existsSync(this.#ownerMark)) throw this.#break(this.#fenced())
  }

  async #rotate(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken
    if (this.#position === WAL_HEADER_BYTES) return
    await this.sync()
    const finished = this.#openFile()
    this.#closed.push({ path: this.#path, lastSeq: this.#nextSeq - 1, sizeBytes: this.#position })
    this.#closedBytes += this.#position
    this.#file = undefined
    try {
      await finished.close()
      await this.#startSegment()
    } catch (error) {
      throw this.#break(diskError(error, `starting a new segment in ${this.#folder}`))
    }
  }

  async #startSegment(): Promise<void> {
    const { epoch, firstSeq: epochFirstSeq } = this.#options
    const number = this.#number + 1
    const path = join(this.#folder, segmentName(epoch, number))
    const header = encodeSegmentHeader({ ...this.#identity, epoch, number, firstSeq: this.#nextSeq, epochFirstSeq })
    if (!existsSync(this.#ownerMark)) throw this.#fenced()
    const file = await this.#createNew(path)
    try {
      await file.write([header], 0)
      // The header is synced here and not with the first record: after a crash of the machine it says where this
      // epoch took the log over, even if no record of the epoch survived.
      await file.sync()
      await syncFolder(this.#folder)
      if (!existsSync(this.#ownerMark)) throw this.#fenced()
    } catch (error) {
      await file.close().catch(() => {})
      await deleteIfPresent(path).catch(() => {})
      throw error
    }
    this.#file = file
    this.#path = path
    this.#number = number
    this.#position = WAL_HEADER_BYTES
  }

  async #createNew(path: string): Promise<SegmentFile> {
    try {
      return await this.#createFile(path)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
      // Epochs are handed out once, so only a second writer of this very process can have made it.
      throw new MoraineError('INTERNAL', `${path} exists: epoch ${this.#options.epoch} has two writers`, { cause: error })
    }
  }

  async #syncOnce(): Promise<void> {
    const upTo = this.#appendedBytes
    try {
      await this.#openFile().sync()
      this.#syncedBytes = upTo
      this.#syncs++
    } catch (error) {
      // After a failed sync the kernel may have dropped the pages and call the next sync a success.
      throw this.#break(diskError(error, `syncing ${this.#path}`))
    } finally {
      this.#syncing = undefined
    }
  }

  /** At most one timer, and only while something is unsynced: an idle database schedules nothing. */
  #syncLater(): void {
    if (this.#timer !== undefined || this.#closing !== undefined || this.#broken !== undefined) return
    if (this.#syncedBytes === this.#appendedBytes) return
    const fire = (): void => {
      const afterwards = (): void => {
        this.#timer = undefined
        this.#syncLater()
      }
      // A failure is kept in #broken and meets the next append.
      this.sync().then(afterwards, afterwards)
    }
    this.#timer = this.#options.clock.setTimer(this.#options.syncIntervalMs, fire, { unref: true })
  }

  async #close(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = undefined
    const file = this.#file
    if (file === undefined) return
    try {
      if (this.#options.sync !== 'never' && this.#broken === undefined) await this.sync()
      await this.#syncing?.catch(() => {})
    } finally {
      this.#closedBytes += this.#position
      this.#closed.push({ path: this.#path, lastSeq: this.#nextSeq - 1, sizeBytes: this.#position })
      this.#file = undefined
      await file.close()
    }
  }

  /** Breaks the writer and takes the part of a record that was written back, if the disk still lets us. */
  async #takeBack(error: MoraineError, goodSizeBytes: number): Promise<MoraineError> {
    const broken = this.#break(error)
    try {
      await this.#openFile().truncate(goodSizeBytes)
    } catch {
      // Then a torn record stays, which replay takes for the end of the log, as it should.
    }
    return broken
  }

  #break(error: MoraineError): MoraineError {
    this.#broken ??= error
    this.#timer?.cancel()
    return this.#broken
  }

  #openFile(): SegmentFile {
    if (this.#file === undefined) throw closedError()
    return this.#file
  }

  #fenced(): MoraineError {
    const message =
      `another process took over the write-ahead log in ${this.#folder} (the owner mark of epoch ` +
      `${this.#options.epoch} is gone): this handle will not write again`
    return new MoraineError('FENCED', message, { detail: { epoch: this.#options.epoch, folder: this.#folder } })
  }
}

function closedError(): MoraineError {
  return new MoraineError('CLOSED', 'the local write-ahead log is closed: open the database again')
}
