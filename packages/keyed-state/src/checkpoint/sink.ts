import type { JsonValue } from 'moraine'
import { plainJson, type PreparedTransaction } from './checkpoint-record.ts'

/**
 * A sink that takes part in checkpoints, so that what it writes becomes visible exactly once: two-phase commit with the
 * checkpoint as coordinator.
 *
 *   prepare   Called while the state stands still. The call itself ends the present transaction: what handlers write after it
 *             belongs to the next one. The promise it returns may take longer, while the job goes on: it resolves when the
 *             transaction is safely stored, to what is needed to commit it later, from another process too. Undefined: there
 *             is nothing to commit.
 *   commit    Called when the checkpoint is complete, and again after every restore of it: it must not matter how often.
 *   abortUnknown  Called after a restore with what is still to be committed: everything else that was prepared under the same
 *             sink's name, and whatever was begun, belongs to a past that never happened.
 *
 * When a checkpoint fails after `prepare`, the transaction stays prepared and goes with the next checkpoint.
 */
export interface Sink<Transaction extends JsonValue = JsonValue> {
  readonly name: string
  prepare(checkpointNumber: number): Transaction | undefined | Promise<Transaction | undefined>
  commit(transaction: Transaction): void | Promise<void>
  abortUnknown?(known: readonly Transaction[]): void | Promise<void>
}

/** The transactions of a backend's sinks from `prepare` to `commit`. */
export class SinkTransactions {
  readonly #sinks: readonly Sink[]
  #pending: PreparedTransaction[]

  constructor(sinks: readonly Sink[], pending: readonly PreparedTransaction[]) {
    this.#sinks = sinks
    this.#pending = [...pending]
  }

  /** Prepared and not committed. */
  get pending(): readonly PreparedTransaction[] {
    return this.#pending
  }

  /** Begins to prepare all sinks, in this very call. Resolves when all have ended; those that succeeded stay prepared. */
  prepare(checkpoint: number): Promise<void> {
    // Called one after another without a pause: every sink draws its line at the same moment.
    const prepared = this.#sinks.map(async (sink) => {
      const transaction = await sink.prepare(checkpoint)
      if (transaction === undefined) return
      this.#pending.push({ sink: sink.name, checkpoint, transaction: plainJson(transaction, `a transaction of sink '${sink.name}'`) })
    })
    return Promise.allSettled(prepared).then((outcomes) => {
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    })
  }

  /** Commits what stood in a completed checkpoint. What fails stays, to be tried with the next one. */
  async commit(transactions: readonly PreparedTransaction[], onError: (error: unknown) => void): Promise<void> {
    for (const prepared of transactions) {
      const sink = this.#sinks.find(({ name }) => name === prepared.sink)
      if (sink === undefined || !this.#pending.includes(prepared)) continue
      try {
        await sink.commit(prepared.transaction)
        this.#pending = this.#pending.filter((other) => other !== prepared)
      } catch (error) {
        onError(error)
      }
    }
  }

  /** After a restore: commits what the checkpoint had prepared, and lets sinks abort the rest. */
  async recover(): Promise<void> {
    for (const sink of this.#sinks) {
      const known = this.#pending.filter((prepared) => prepared.sink === sink.name)
      for (const { transaction } of known) await sink.commit(transaction)
      await sink.abortUnknown?.(known.map(({ transaction }) => transaction))
      this.#pending = this.#pending.filter((prepared) => !known.includes(prepared))
    }
  }
}
