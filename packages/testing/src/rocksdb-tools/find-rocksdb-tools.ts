import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { RocksDbTools } from './rocksdb-tools.ts'

const DEBIAN_PACKAGE = 'rocksdb-tools'
const INSTALL_TIMEOUT_MS = 240_000

/** Why there are no tools, and what to do about it. */
export interface RocksDbToolsMissing {
  readonly missing: string
}

/**
 * `sst_dump` and `ldb` from PATH or /usr/bin; where they are not, and the process may, from Debian's package. Throws when
 * they cannot be had and `CI` is true: there a skipped proof is a failure.
 */
export function findRocksDbTools(environment: NodeJS.ProcessEnv = process.env): RocksDbTools | RocksDbToolsMissing {
  const found = locate(environment)
  if (found !== undefined) return found
  const refusal = install()
  const installed = refusal === undefined ? locate(environment) : undefined
  if (installed !== undefined) return installed
  const missing =
    `RocksDB's sst_dump and ldb are missing (${refusal ?? `the package ${DEBIAN_PACKAGE} did not bring them`}); ` +
    `install them with: apt-get install ${DEBIAN_PACKAGE}`
  if (environment['CI'] === 'true') throw new Error(missing)
  return { missing }
}

function locate(environment: NodeJS.ProcessEnv): RocksDbTools | undefined {
  const folders = [...(environment['PATH'] ?? '').split(delimiter), '/usr/bin'].filter((folder) => folder !== '')
  const find = (program: string): string | undefined =>
    folders.map((folder) => join(folder, program)).find((path) => existsSync(path))
  const sstDump = find('sst_dump')
  const ldb = find('ldb')
  return sstDump === undefined || ldb === undefined ? undefined : new RocksDbTools(sstDump, ldb)
}

/** Installs the package; returns why not, or undefined. */
function install(): string | undefined {
  if (process.getuid?.() !== 0) return 'not on PATH, and only root can install them'
  const aptGet = (...options: string[]): boolean =>
    spawnSync('apt-get', options, {
      stdio: 'ignore',
      timeout: INSTALL_TIMEOUT_MS,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    }).status === 0
  if (!aptGet('--version')) return 'not on PATH, and there is no apt-get'
  if (aptGet('install', '-y', DEBIAN_PACKAGE)) return undefined
  if (aptGet('update') && aptGet('install', '-y', DEBIAN_PACKAGE)) return undefined
  return 'apt-get could not install them'
}
