import { MoraineError } from '@moraine/base'

/** The `code` of a failed system call, such as ENOENT; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** A failed system call as UNAVAILABLE with advice. A MoraineError passes through as it is. */
export function diskError(error: unknown, doing: string): MoraineError {
  if (error instanceof MoraineError) return error
  const errno = errnoOf(error)
  const text = error instanceof Error ? error.message : String(error)
  const message = `the local write-ahead log failed while ${doing}: ${text}${adviceFor(errno)}`
  return new MoraineError('UNAVAILABLE', message, { detail: { errno }, cause: error })
}

function adviceFor(errno: string | undefined): string {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return '. The disk is full: free some space, then open the database again'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return '. This user cannot write there: change the permissions or name another WAL folder'
    case 'EIO':
      return '. The disk reports an error: name a WAL folder on another disk'
    default:
      return ''
  }
}
