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

/** What is asked of the machine; a test answers itself. */
export interface ToolMachine {
  exists(path: string): boolean
  /** Installs the package; returns why that did not work, or undefined. */
  install(): string | undefined
}

/**
 * `sst_dump` and `ldb` from PATH or /usr/bin; where they are not, and the process may, from Debian's package. Throws when
 * they cannot be had and `CI` is true: there a skipped proof is a failure.
 */
export function findRocksDbTools(
  environment: NodeJS.ProcessEnv = process.env,
  machine: ToolMachine = thisMachine,
): RocksDbTools | RocksDbToolsMissing {
  const found = locate(environment, machine)
  if (found !== undefined) return found
  const refusal = machine.install()
  // Another test file may have installed them meanwhile, and that may be why it did not work here.
  const installed = locate(environment, machine)
  if (installed !== undefined) return installed
  const missing =
    `RocksDB's sst_dump and ldb are missing (${refusal ?? `the package ${DEBIAN_PACKAGE} did not bring them`}); ` +
    `install them with: apt-get install ${DEBIAN_PACKAGE}`
  if (environment['CI'] === 'true') throw new Error(missing)
  return { missing }
}

function locate(environment: NodeJS.ProcessEnv, machine: ToolMachine): RocksDbTools | undefined {
  const folders = [...(environment['PATH'] ?? '').split(delimiter), '/usr/bin'].filter((folder) => folder !== '')
  const find = (program: string): string | undefined =>
    folders.map((folder) => join(folder, program)).find((path) => machine.exists(path))
  const sstDump = find('sst_dump')
  const ldb = find('ldb')
  return sstDump === undefined || ldb === undefined ? undefined : new RocksDbTools(sstDump, ldb)
}

const thisMachine: ToolMachine = {
  exists: existsSync,
  install() {
    if (process.getuid?.() !== 0) return 'not on PATH, and only root can install them'
    if (!aptGet('--version')) return 'not on PATH, and there is no apt-get'
    if (aptGet('install', '-y', DEBIAN_PACKAGE)) return undefined
    if (aptGet('update') && aptGet('install', '-y', DEBIAN_PACKAGE)) return undefined
    return 'apt-get could not install them'
  },
}

/** Test files run side by side, so that one may have to wait for the other's installation. */
function aptGet(...options: string[]): boolean {
  const result = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...options], {
    stdio: 'ignore',
    timeout: INSTALL_TIMEOUT_MS,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  return result.status === 0
}
