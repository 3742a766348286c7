/** Where progress is drawn: `process.stderr`, or anything like it. */
export interface ProgressOutput {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/**
 * A progress bar with throughput. On a terminal it redraws one line a few times a second; elsewhere (a log file, CI) it
 * prints a plain line every few seconds.
 */
export class ProgressBar {
  readonly #title: string
  readonly #total: number
  readonly #output: ProgressOutput
  readonly #nowMs: () => number
  readonly #startMs: number
  #drawnMs = -Infinity

  /** `nowMs` is a monotonic clock in milliseconds. */
  constructor(title: string, total: number, output: ProgressOutput, nowMs: () => number) {
    this.#title = title
    this.#total = total
    this.#output = output
    this.#nowMs = nowMs
    this.#startMs = nowMs()
  }

  /** Cheap enough to call often: it draws only when it is time to. */
  update(done: number): void {
    const now = this.#nowMs()
    if (now - this.#drawnMs < (this.#isTerminal ? terminalIntervalMs : plainIntervalMs)) return
    // A plain log starts with the first news, not with a line that says zero.
    if (!this.#isTerminal && this.#drawnMs === -Infinity) this.#drawnMs = now
    else this.#draw(done, now)
  }

  /** Draws the last state and leaves the line. */
  finish(done: number): void {
    this.#draw(done, this.#nowMs())
    if (this.#isTerminal) this.#output.write('\n')
  }

  get #isTerminal(): boolean {
    return this.#output.isTTY === true
  }

  #draw(done: number, now: number): void {
    this.#drawnMs = now
    const elapsedMs = now - this.#startMs
    const rate = elapsedMs > 0 ? (done / elapsedMs) * 1000 : 0
    const share = this.#total === 0 ? 1 : done / this.#total
    const left = rate > 0 && share < 1 ? `, ${Math.ceil((this.#total - done) / rate)} s left` : ''
    const figures = `${Math.floor(share * 100)} %  ${group(done)} of ${group(this.#total)}, ${group(Math.round(rate))}/s${left}`
    if (!this.#isTerminal) {
      this.#output.write(`${this.#title}: ${figures}\n`)
      return
    }
    const room = (this.#output.columns ?? 80) - this.#title.length - figures.length - 5
    const width = Math.max(0, Math.min(30, room))
    const filled = Math.round(width * Math.min(1, share))
    const bar = width === 0 ? '' : `${'█'.repeat(filled)}${'░'.repeat(width - filled)}  `
    // Carriage return and "erase to the end of the line", so that a shorter line leaves nothing behind.
    this.#output.write(`\r${this.#title}  ${bar}${figures}\u001b[K`)
  }
}

const terminalIntervalMs = 100
const plainIntervalMs = 2000

function group(value: number): string {
  return value.toLocaleString('en-US')
}
