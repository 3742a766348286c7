import { Deferred } from '@moraine/base'
import type { Sink } from '@moraine/keyed-state'
import type { JsonValue } from 'moraine'
import type { OutputSink } from './job.ts'

/**
 * The rows of one instance, on their way to the sinks. It takes part in the instance's checkpoints: in the moment in which its
 * state stands still, the rows up to there pass on to the sinks, and those after it wait for the next checkpoint. So it does
 * not matter when exactly each of several instances stands still.
 */
export class RowLine implements Sink {
  readonly name = 'row-line'
  #rows: { readonly sink: OutputSink; readonly row: JsonValue }[] = []
  #drawn = new Deferred<void>()
  #holdBack: Promise<unknown> = Promise.resolve()

  add(sink: OutputSink, row: JsonValue): void {
    this.#rows.push({ sink, row })
  }

  /**
   * Call it right before a checkpoint: resolves when the line is drawn. The checkpoint is not written before `holdBack` has
   * resolved, and fails when that does.
   */
  next(holdBack: Promise<unknown>): Promise<void> {
    this.#drawn = new Deferred()
    this.#holdBack = holdBack
    return this.#drawn.promise
  }

  async prepare(): Promise<undefined> {
    const rows = this.#rows
    this.#rows = []
    for (const { sink, row } of rows) sink.write(row)
    this.#drawn.resolve()
    await this.#holdBack
  }

  /** There is nothing to commit: the sinks do that. */
  commit(): void {}
}
