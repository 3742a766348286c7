import type { Clock } from '@moraine/base'
import { formatBytes } from './figures.ts'
import type { RemarkOutput } from './terminal.ts'

/** Work that is done sooner shows no bar at all. */
const QUIET_MS = 400
const REDRAW_MS = 100
const MAX_BAR_WIDTH = 30

/**
 * How far a long read has come, on one line of a terminal that is redrawn in place. Draws nothing where there is no
 * terminal, and nothing for work that takes no time.
 */
export class ProgressBar {
  readonly #title: string
  readonly #totalBytes: number
  readonly #output: RemarkOutput
  readonly #clock: Clock
  readonly #startMs: number
  #drawnMs: number
  #visible = false
  #doneBytes = 0

  constructor(title: string, totalBytes: number, output: RemarkOutput, clock: Clock) {
    this.#title = title
    this.#totalBytes = totalBytes
    this.#output = output
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#drawnMs = this.#startMs + QUIET_MS - REDRAW_MS
  }

  /** Cheap enough for every read. */
  add(bytes: number): void {
    this.#doneBytes += bytes
    if (this.#output.isTTY !== true) return
    const now = this.#clock.monotonicMs()
    if (now - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = now
    this.#draw(now)
  }

  /** Removes the bar from its line, so that something else can be printed there; the next `add` may draw it again. */
  clear(): void {
    if (this.#visible) this.#output.write('\r\u001b[K')
    this.#visible = false
  }

  #draw(now: number): void {
    const done = Math.min(this.#doneBytes, this.#totalBytes)
    const share = this.#totalBytes === 0 ? 1 : done / this.#totalBytes
    const bytesPerSecond = (done / Math.max(1, now - this.#startMs)) * 1000
    const seconds = bytesPerSecond === 0 ? undefined : Math.ceil((this.#totalBytes - done) / bytesPerSecond)
    const left = seconds === undefined ? '' : `, ${seconds} s left`
    const percent = String(Math.floor(share * 100)).padStart(3)
    const figures = `${percent} %  ${formatBytes(done)} of ${formatBytes(this.#totalBytes)}, ${formatBytes(bytesPerSecond)}/s${left}`
    const room = (this.#output.columns ?? 80) - this.#title.length - figures.length - 5
    const width = Math.max(0, Math.min(MAX_BAR_WIDTH, room))
    const filled = Math.round(width * share)
    const bar = width === 0 ? '' : `${'█'.repeat(filled)}${'░'.repeat(width - filled)}  `
    // "Erase to the end of the line" comes last, so that a shorter text leaves nothing of the one before.
    this.#output.write(`\r${this.#title}  ${bar}${figures}\u001b[K`)
    this.#visible = true
  }
}
