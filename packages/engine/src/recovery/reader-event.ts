import type { MoraineError } from '@moraine/base'

/** What a reader tells its owner; the names and payloads of `reader.on`. */
export interface ReaderEvents {
  /** A newer manifest is being read. */
  refresh: { readonly manifestId: number; readonly lastSequence: number }
  /** A refresh or a renewal failed: `willRetry` says whether it is tried again by itself. */
  error: { readonly error: MoraineError; readonly willRetry: boolean }
}

export type EmitReaderEvent = <Name extends keyof ReaderEvents>(name: Name, payload: ReaderEvents[Name]) => void
