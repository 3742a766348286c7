/** Invariant: the default log folder depends on the database id and the user alone, and stays inside the state folder. */
import { describe, expect, test } from 'vitest'
import { walFolderLocation } from './wal-folder-location.ts'

describe('walFolderLocation', () => {
  test('follows the conventions of each platform', () => {
    const linux = { env: {}, platform: 'linux', homedir: '/home/ada' }
    expect(walFolderLocation('db1', linux)).toBe('/home/ada/.local/state/moraine/db1')
    expect(walFolderLocation('db1', { ...linux, env: { XDG_STATE_HOME: '/state' } })).toBe('/state/moraine/db1')
    expect(walFolderLocation('db1', { ...linux, env: { XDG_STATE_HOME: 'relative' } })).toBe(
      '/home/ada/.local/state/moraine/db1',
    )
    expect(walFolderLocation('db1', { env: {}, platform: 'darwin', homedir: '/Users/ada' })).toBe(
      '/Users/ada/Library/Application Support/moraine/db1',
    )
    const windows = { env: { LOCALAPPDATA: 'D:\\Local' }, platform: 'win32', homedir: 'C:\\Users\\ada' }
    expect(walFolderLocation('db1', windows)).toBe('D:\\Local\\moraine\\db1')
    expect(walFolderLocation('db1', { ...windows, env: {} })).toBe('C:\\Users\\ada\\AppData\\Local\\moraine\\db1')
  })

  test('an id that could lead elsewhere is INVALID', () => {
    const user = { env: {}, platform: 'linux', homedir: '/home/ada' }
    for (const id of ['', '.', '..', '../x', 'a/b', 'a\\b', 'a\0b', '/etc', 'x'.repeat(200)]) {
      expect(() => walFolderLocation(id, user)).toThrowError(expect.objectContaining({ code: 'INVALID' }))
    }
  })
})
