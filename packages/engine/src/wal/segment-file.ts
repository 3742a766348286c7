import { fdatasync, writev } from 'node:fs'
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

/** Uses the callback forms of node:fs on the hot calls: one promise an append instead of several. */
class DiskSegmentFile implements SegmentFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const writeFrom = (rest: readonly Uint8Array[], at: number, size: number): void => {
        writev(this.#handle.fd, rest, at, (error, written) => {
          if (error !== null) reject(error)
          else if (written === size) resolve()
          // A short write is legal (a nearly full disk); the next one either continues or names the reason.
          else writeFrom(dropBytes(rest, written), at + written, size - written)
        })
      }
      let size = 0
      for (const piece of pieces) size += piece.length
      writeFrom(pieces, position, size)
    })
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#handle.fd, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#handle.truncate(sizeBytes)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
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
