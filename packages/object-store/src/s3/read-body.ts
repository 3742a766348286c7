import type { Readable } from 'node:stream'
import { concatBytes } from '@moraine/base'

/**
 * Reads a response body to its end into an array of its own. Rejects when the connection ends early or the body is
 * not of the announced length, and destroys the stream whenever it rejects: a body left unread would keep its socket
 * out of the pool for good.
 */
export function readBody(stream: Readable, sizeBytes: number | undefined): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const whole = sizeBytes === undefined ? undefined : new Uint8Array(sizeBytes)
    const pieces: Uint8Array[] = []
    let received = 0
    const fail = (error: Error): void => {
      stream.destroy()
      reject(error)
    }
    stream.on('data', (piece: Uint8Array) => {
      if (whole === undefined) {
        pieces.push(piece)
      } else if (received + piece.length <= whole.length) {
        whole.set(piece, received)
      } else {
        fail(new Error(`the body is longer than the announced ${whole.length} bytes`))
      }
      received += piece.length
    })
    stream.on('error', fail)
    stream.on('end', () => {
      if (whole === undefined) resolve(concatBytes(pieces))
      else if (received === whole.length) resolve(whole)
      else fail(new Error(`the body ended after ${received} of ${whole.length} bytes`))
    })
    // After 'end' or 'error' this changes nothing; without them the connection was lost.
    stream.on('close', () => fail(new Error(`the connection closed after ${received} bytes of the body`)))
  })
}
