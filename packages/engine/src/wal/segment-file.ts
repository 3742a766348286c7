import { fdatasync, writev, writevSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** The file that a log writer appends to. Tests and simulations give the writer failing ones. */
export interface SegmentFile {
  /** Writes all pieces from `position` on; rejects unless every byte was taken. */
  write(pieces: readonly Uint8Array[], position: number): Promise<void>
  /** Everything written so far survives a crash of the machine. */
  sync(): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  close(): Promise<void>
}

export type CreateSegmentFile = (path: string) => Promise<SegmentFile>

/** Creates a segment file on disk; a name that exists is an error (EEXIST), a segment is never overwritten. */
export async function createSegmentFile(path: string): Promise<SegmentFile> {
  return new DiskSegmentFile(await open(path, 'wx', 0o600))
}

/**
 * Up to this size a write is made on the spot. It copies into the page cache in 4 us, where handing it to the thread
 * pool and back takes 30 to 50 us (8 KiB groups). A larger one, or one while the file is being synced, could hold the
 * event loop up for milliseconds, and goes to the pool.
 */
const WRITE_ON_THE_SPOT_BYTES = 64 * 1024

/**
 * After so many writes on the spot one goes to the pool, because a caller that awaits append after append would
 * otherwise never let the event loop turn: no timer, no reply from the network, no other request.
 */
const WRITES_ON_THE_SPOT_IN_A_ROW = 64

class DiskSegmentFile implements SegmentFile {
  readonly #handle: FileHandle
  #syncsInFlight = 0
  #writtenOnTheSpot = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    let rest = pieces
    let at = position
    let left = sizeOf(pieces)
    const onTheSpot = this.#mayWriteOnTheSpot(left)
    while (left > 0) {
      const written = onTheSpot ? writevSync(this.#handle.fd, rest, at) : await this.#writeInPool(rest, at)
      at += written
      left -= written
      // A short write is legal (a nearly full disk); the next one either continues or names the reason.
      if (left > 0) rest = dropBytes(rest, written)
    }
  }

  #mayWriteOnTheSpot(sizeBytes: number): boolean {
    const small = sizeBytes <= WRITE_ON_THE_SPOT_BYTES && this.#syncsInFlight === 0
    if (small && this.#writtenOnTheSpot++ < WRITES_ON_THE_SPOT_IN_A_ROW) return true
    this.#writtenOnTheSpot = 0
    return false
  }

  #writeInPool(pieces: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#handle.fd, pieces, position, (error, written) => (error === null ? resolve(written) : reject(error)))
    })
  }

  async sync(): Promise<void> {
    this.#syncsInFlight++
    try {
      await new Promise<void>((resolve, reject) => {
        fdatasync(this.#handle.fd, (error) => (error === null ? resolve() : reject(error)))
      })
    } finally {
      this.#syncsInFlight--
    }
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#handle.truncate(sizeBytes)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  let size = 0
  for (const piece of pieces) size += piece.length
  return size
}

function dropBytes(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let left = count
  for (const piece of pieces) {
    if (left >= piece.length) left -= piece.length
    else {
      rest.push(left === 0 ? piece : piece.subarray(left))
      left = 0
    }
  }
  return rest
}
