import { type Clock, isMoraineError, MoraineError, type Random, sleep, throwIfAborted } from '@moraine/base'
import { limitChecks, underLimits } from './call-options.ts'
import { checkOptions, integerOption, type OptionChecks } from './option-checks.ts'
import { isolationOption, type Transaction, type TransactionOptions } from './transaction.ts'
import { checkWriteOptions, type WriteOptions } from './write-options.ts'

export interface TransactOptions extends TransactionOptions, WriteOptions {
  /** How often the work is run before its CONFLICT passes through; default 10. */
  readonly attempts?: number
}

const checks: OptionChecks<TransactOptions> = {
  isolation: isolationOption,
  attempts: integerOption(1, 1_000_000),
  durability: () => undefined,
  ...limitChecks,
}

/** The pause before the first repetition is at most this long; it doubles with each further one. */
const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 100

/** Begins a transaction, whatever engine a restore has put in place meanwhile. */
export interface TransactionSource {
  transaction(options: TransactionOptions): Transaction
}

/**
 * Runs work in transactions until one commits. The pause before each repetition is random, up to twice as long as the last
 * one, so that those who collided do not collide again. A limit ends it between two steps; work that runs is not interrupted.
 */
export async function runTransaction<Result>(
  source: TransactionSource,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  work: (tx: Transaction) => Promise<Result>,
  options: TransactOptions = {},
): Promise<Result> {
  if (typeof work !== 'function') throw new MoraineError('INVALID', 'transact takes a function of a transaction')
  checkOptions('transact', options, checks)
  const { isolation = 'snapshot', attempts = 10, durability } = options
  checkWriteOptions('transact', durability === undefined ? {} : { durability })
  return await underLimits('transact', options, clock, async (signal) => {
    const writeOptions = { ...(durability === undefined ? {} : { durability }), signal }
    for (let attempt = 1; ; attempt++) {
      throwIfAborted(signal)
      const tx = source.transaction({ isolation })
      try {
        const result = await work(tx)
        // The work may have committed it, or have decided against it.
        if (tx.state === 'open') await tx.commit(writeOptions)
        return result
      } catch (error) {
        if (!isMoraineError(error, 'CONFLICT') || attempt >= attempts) throw error
      } finally {
        await tx[Symbol.asyncDispose]()
      }
      await sleep(clock, random.next() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1)), signal)
    }
  })
}
