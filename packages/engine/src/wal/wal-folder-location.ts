import { posix, win32 } from 'node:path'
import { MoraineError } from '@moraine/base'

/** What decides where per-user state lives; {@link walFolderLocation} reads nothing else. */
export interface UserEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>
  /** As in `process.platform`. */
  readonly platform: string
  readonly homedir: string
}

/**
 * The folder of a database's local write-ahead log when the caller names none: a per-user state folder, so that
 * two programs of one user that open the same database find the same log, and temporary-file cleaners do not. The id
 * comes out of a bucket, so one that could lead out of that folder is INVALID.
 */
export function walFolderLocation(databaseId: string, user: UserEnvironment): string {
  const { env, platform, homedir } = user
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(databaseId)) {
    throw new MoraineError('INVALID', `the database id ${JSON.stringify(databaseId)} cannot name a folder: name one`)
  }
  if (platform === 'win32') {
    const local = env['LOCALAPPDATA']
    const base = local !== undefined && win32.isAbsolute(local) ? local : win32.join(homedir, 'AppData', 'Local')
    return win32.join(base, 'moraine', databaseId)
  }
  // The XDG rule: a relative path in the variable is to be ignored.
  const state = env['XDG_STATE_HOME']
  if (state !== undefined && posix.isAbsolute(state)) return posix.join(state, 'moraine', databaseId)
  if (platform === 'darwin') return posix.join(homedir, 'Library', 'Application Support', 'moraine', databaseId)
  return posix.join(homedir, '.local', 'state', 'moraine', databaseId)
}
