import type { FileHandle } from 'node:fs/promises'
import { MoraineError, throwIfAborted } from '@moraine/base'

const MAX_PIECES_PER_WRITE = 512
const MAX_BYTES_PER_WRITE = 16 * 1024 * 1024

/** Writes all pieces at the file's position without copying them together; notices an abort every few megabytes. */
export async function writePieces(
  handle: FileHandle,
  pieces: readonly Uint8Array[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let index = 0
  let offset = 0
  while (index < pieces.length) {
    throwIfAborted(signal)
    const slices: Uint8Array[] = []
    let room = MAX_BYTES_PER_WRITE
    for (let at = index, from = offset; at < pieces.length && slices.length < MAX_PIECES_PER_WRITE && room > 0; at++) {
      const slice = (pieces[at] as Uint8Array).subarray(from, from + room)
      if (slice.length > 0) slices.push(slice)
      room -= slice.length
      from = 0
    }
    let written = slices.length === 0 ? 0 : (await handle.writev(slices)).bytesWritten
    if (slices.length > 0 && written === 0) throw new MoraineError('UNAVAILABLE', 'the file system wrote no byte')
    // Steps over what was written, and over empty pieces, wherever a short write has ended.
    while (index < pieces.length) {
      const left = (pieces[index] as Uint8Array).length - offset
      if (written < left) break
      written -= left
      index++
      offset = 0
    }
    offset += written
  }
}
