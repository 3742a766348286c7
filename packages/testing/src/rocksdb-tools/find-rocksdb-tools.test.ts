// Invariant: the proofs by RocksDB run wherever its tools are or can be had; where not, one line says so, and with CI=true
// that is a failure.
import { expect, test } from 'vitest'
import { findRocksDbTools, type ToolMachine } from './find-rocksdb-tools.ts'
import { complaints, parseScan, RocksDbTools } from './rocksdb-tools.ts'

/** A machine with some files, whose installation adds others or is refused. */
function machine(present: readonly string[], installed: readonly string[] = [], refusal?: string): ToolMachine & { installs: number } {
  const files = new Set(present)
  return {
    installs: 0,
    exists: (path) => files.has(path),
    install() {
      this.installs++
      for (const path of installed) files.add(path)
      return refusal
    },
  }
}

const BOTH = ['/usr/bin/sst_dump', '/usr/bin/ldb']

test('tools on PATH or in /usr/bin are taken as they are', () => {
  for (const files of [BOTH, ['/opt/tools/sst_dump', '/usr/bin/ldb']]) {
    const here = machine(files)
    expect(findRocksDbTools({ PATH: '/bin:/opt/tools' }, here)).toBeInstanceOf(RocksDbTools)
    expect(here.installs).toBe(0)
  }
})

test('missing tools are installed, by us or by somebody beside us', () => {
  expect(findRocksDbTools({ PATH: '/bin' }, machine([], BOTH))).toBeInstanceOf(RocksDbTools)
  expect(findRocksDbTools({ PATH: '/bin' }, machine(['/usr/bin/ldb'], BOTH, 'locked'))).toBeInstanceOf(RocksDbTools)
})

test('tools that cannot be had are a line to print, or a failure with CI=true', () => {
  const found = findRocksDbTools({ PATH: '/bin' }, machine(['/usr/bin/ldb'], [], 'no root'))
  expect(found).toEqual({ missing: expect.stringMatching(/missing \(no root\).*apt-get install rocksdb-tools$/) })
  expect(() => findRocksDbTools({ PATH: '/bin', CI: 'true' }, machine([]))).toThrow(/did not bring them/)
})

test('output is read for trouble and for entries', () => {
  const output = (stdout: string, exitCode = 0) => ({ exitCode, stdout, text: stdout })
  expect(complaints(output("Process x.sst\n'6B' seq:1, type:1 => 76"))).toEqual([])
  expect(complaints(output('x.sst: Corruption: block checksum mismatch'))).toHaveLength(1)
  expect(complaints(output('', 1))).toEqual(['exit code 1'])
  expect(parseScan(output("from [] to []\n'6B' seq:9007199254740991, type:1 => 7A\n'' seq:0, type:0 => \n"))).toEqual([
    { key: '6b', seq: Number.MAX_SAFE_INTEGER, kind: 1, value: '7a' },
    { key: '', seq: 0, kind: 0, value: '' },
  ])
})
