import { MoraineError } from '@moraine/base'
import type { EngineSettings } from './engine-settings.ts'

export function closedError(): MoraineError {
  return new MoraineError('CLOSED', 'the database is closed; open it again to use it')
}

/** What stopped an engine as its callers are told: anything that is no MoraineError is a defect. */
export function asMoraineError(error: unknown): MoraineError {
  if (error instanceof MoraineError) return error
  return new MoraineError('INTERNAL', `a defect stopped the database: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  })
}

/** The store did not answer in time: what that means for the writes that are not flushed. */
export function closeGaveUp({ closeTimeoutMs, wal }: EngineSettings, unflushed: number): MoraineError {
  const rest =
    wal.kind === 'none'
      ? 'are lost, because there is no write-ahead log'
      : 'are not in the store; the write-ahead log keeps those that were acknowledged'
  const what = unflushed > 0 ? `${unflushed} writes ${rest}` : 'everything is stored, but the database still counts as open'
  return new MoraineError('UNAVAILABLE', `close gave up after ${closeTimeoutMs} ms without an answer of the store: ${what}`, {
    detail: { unflushedWrites: unflushed },
  })
}
