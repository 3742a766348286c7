import { MoraineError } from '@moraine/base'

/** The `code` of a failed system call (`ENOENT`, ...); undefined when the error is not one. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return typeof code === 'string' ? code : undefined
}

const REASONS: Readonly<Record<string, { what: string; code: 'UNAVAILABLE' | 'INVALID'; retryable: boolean }>> = {
  EACCES: refusal('permission is denied; check the owner and mode of the folder'),
  EPERM: refusal('the operation is not permitted; check the owner and mode of the folder, and that it can hold hard links'),
  EROFS: refusal('the file system is read-only; mount it writable or choose another folder'),
  ENOSPC: refusal('the disk is full; free some space'),
  EDQUOT: refusal('the disk quota is used up; free some space'),
  EIO: refusal('the disk reported an error; check its health'),
  EMFILE: passing('this process has too many open files; raise its limit (ulimit -n)'),
  ENFILE: passing('the machine has too many open files'),
  EAGAIN: passing('the system is short of resources'),
  EBUSY: passing('the file is busy'),
  ENOTSUP: mistake('the file system cannot make hard links, which atomic creation needs; choose another one'),
  ENAMETOOLONG: mistake('the path is too long for the file system; use a shorter root folder or key'),
  ELOOP: mistake('it is a symbolic link, which a store does not follow'),
}

/**
 * The MoraineError for a failed system call on `path`. `ambiguous` says that the object may have been written
 * although the call failed.
 */
export function fileError(error: unknown, doing: string, path: string, ambiguous = false): MoraineError {
  if (error instanceof MoraineError) return error
  const systemError = systemCode(error) ?? 'unknown'
  const reason = REASONS[systemError] ?? refusal(error instanceof Error ? error.message : String(error))
  return new MoraineError(reason.code, `cannot ${doing} ${path}: ${reason.what}`, {
    detail: { path, systemError, retryable: reason.retryable, ambiguous },
    cause: error,
  })
}

function refusal(what: string): { what: string; code: 'UNAVAILABLE'; retryable: boolean } {
  return { what, code: 'UNAVAILABLE', retryable: false }
}

function passing(what: string): { what: string; code: 'UNAVAILABLE'; retryable: boolean } {
  return { what, code: 'UNAVAILABLE', retryable: true }
}

function mistake(what: string): { what: string; code: 'INVALID'; retryable: boolean } {
  return { what, code: 'INVALID', retryable: false }
}
