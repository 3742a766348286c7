/**
 * The one error type of Moraine. Everything that fails, from a bad option to a damaged byte, is thrown as a
 * {@link MoraineError}: programs branch on `code`, people read `message`, tools read `detail`.
 */
export type MoraineErrorCode =
  /** The database, snapshot, iterator or store was closed before or during the call. */
  | 'CLOSED'
  /** Another process owns the database now; this handle will never write again. */
  | 'FENCED'
  /** The store or the disk did not answer, or refused; the call may succeed later. */
  | 'UNAVAILABLE'
  /** The caller's input is wrong; nothing was written. */
  | 'INVALID'
  /** Stored bytes are damaged or missing; no answer is given rather than a wrong one. */
  | 'CORRUPTION'
  /** A condition of the call did not hold (a conditional put, a transaction, an existing object). */
  | 'CONFLICT'
  /** The caller's AbortSignal fired, or its timeoutMs was over. */
  | 'ABORTED'
  /** A broken invariant: a defect of Moraine itself. */
  | 'INTERNAL'

/** Machine-readable facts about an error. Values are plain data so that they survive logging and workers. */
export type MoraineErrorDetail = Readonly<Record<string, string | number | boolean | undefined>>

export class MoraineError extends Error {
  readonly code: MoraineErrorCode
  readonly detail: MoraineErrorDetail

  constructor(code: MoraineErrorCode, message: string, options: { detail?: MoraineErrorDetail; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'MoraineError'
    this.code = code
    this.detail = options.detail ?? {}
  }
}

/** True when `error` is a MoraineError, of the given code if one is named. */
export function isMoraineError(error: unknown, code?: MoraineErrorCode): error is MoraineError {
  return error instanceof MoraineError && (code === undefined || error.code === code)
}

/** Marks a branch that the type system proves impossible; reaching it is a defect. */
export function unreachable(value: never): never {
  throw new MoraineError('INTERNAL', `unreachable case reached with ${String(value)}`)
}
