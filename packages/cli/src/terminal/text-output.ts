/** Whoever read our output has gone (`| head`): there is nobody left to work for. */
export class OutputClosedError extends Error {}

/** Text is handed to the stream in pieces of about this many characters. */
const PIECE_LENGTH = 64 * 1024

/**
 * Lines to a stream, in large pieces and no faster than its reader takes them: a dump of a table of any size needs the
 * memory of one piece. Throws OutputClosedError once the reader is gone.
 */
export class TextOutput {
  readonly #stream: NodeJS.WritableStream
  #pending = ''

  constructor(stream: NodeJS.WritableStream) {
    this.#stream = stream
    // The callback of a write reports the failure; without a listener the event would end the process as well.
    stream.on('error', () => {})
  }

  /** Appends a line. Await the result when there is one: the reader is slower than the writer. */
  line(text: string): Promise<void> | undefined {
    this.#pending += `${text}\n`
    return this.#pending.length < PIECE_LENGTH ? undefined : this.flush()
  }

  /** Resolves when everything so far has been taken by the stream. */
  flush(): Promise<void> {
    const text = this.#pending
    if (text === '') return Promise.resolve()
    this.#pending = ''
    return new Promise((resolve, reject) => {
      this.#stream.write(text, (error) => {
        if (error === undefined || error === null) resolve()
        else reject(isClosed(error) ? new OutputClosedError() : error)
      })
    })
  }
}

function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED'
}
