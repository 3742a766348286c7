// Invariant: RocksDB's own programs accept every table that a database writes, with range tombstones, envelopes, merge operands
// and keyspaces in it, and count in it what we do.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SeededRandom } from '@moraine/base'
import { MemoryObjectStore } from '@moraine/object-store'
import { open } from 'moraine'
import { describe, expect, test } from 'vitest'
import { ModelDraws } from '../model/model-draws.ts'
import { drivenKeyspaces } from '../model/model-keyspaces.ts'
import { writeAsBatch } from '../model/write-operations.ts'
import { findRocksDbTools } from './find-rocksdb-tools.ts'
import { complaints, parseScan, RocksDbTools } from './rocksdb-tools.ts'

const found = findRocksDbTools()
if (!(found instanceof RocksDbTools)) console.warn(`RocksDB reading a database's tables: skipped. ${found.missing}`)

const MERGE = 2
const RANGE_DELETE_KIND = 15
const RANGE_DELETES = /^\s*# range deletions: (\d+)$/m
const ENTRIES = /^\s*# entries: (\d+)$/m

describe.skipIf(!(found instanceof RocksDbTools))('RocksDB reads the tables of a database', () => {
  const tools = found as RocksDbTools

  test.each([1, 2])('of all kinds of writes, flushed and compacted, seed %i', async (seed) => {
    const folder = mkdtempSync(join(tmpdir(), 'moraine-engine-sst-'))
    const store = new MemoryObjectStore()
    const [unnamed, ...named] = drivenKeyspaces(undefined, false)
    const db = await open(
      { store },
      {
        wal: 'none',
        blockSizeBytes: 1024,
        targetFileSizeBytes: 8 * 1024,
        ...unnamed?.options,
        keyspaces: Object.fromEntries(named.map(({ name, options }) => [name, options])),
      },
    )
    const draws = new ModelDraws(new SeededRandom(seed), [...(unnamed === undefined ? [] : [unnamed]), ...named], true)
    const kinds = { merges: 0, rangeDeletes: 0 }
    const judge = async (): Promise<void> => {
      for (const { key } of (await store.list('sst/')).objects) {
        const path = join(folder, 'table.sst')
        writeFileSync(path, (await store.get(key))?.bytes ?? '')
        expect(complaints(tools.sstDump([`--file=${path}`, '--command=check', '--verify_checksum', '--output_hex']))).toEqual([])
        const scan = tools.sstDump([`--file=${path}`, '--command=scan', '--verify_checksum', '--output_hex', '--show_properties'])
        expect(complaints(scan)).toEqual([])
        const entries = parseScan(scan)
        const rangeDeletes = Number(RANGE_DELETES.exec(scan.text)?.[1] ?? Number.NaN)
        expect(rangeDeletes).not.toBeNaN()
        expect(entries.filter(({ kind }) => kind !== RANGE_DELETE_KIND).length + rangeDeletes).toBe(Number(ENTRIES.exec(scan.text)?.[1]))
        kinds.merges += entries.filter(({ kind }) => kind === MERGE).length
        kinds.rangeDeletes += rangeDeletes
      }
    }
    const snapshots = [db.snapshot()]
    for (let step = 0; step < 3; step++) {
      draws.step = step
      for (let round = 0; round < 20; round++) await writeAsBatch(db, draws.batch())
      await db.flush()
      snapshots.push(db.snapshot())
    }
    await judge()
    await db.compact()
    await judge()
    expect(kinds.merges).toBeGreaterThan(20)
    expect(kinds.rangeDeletes).toBeGreaterThan(20)
    for (const snapshot of snapshots) snapshot.close()
    await db.close()
    rmSync(folder, { recursive: true, force: true })
  }, 60_000)
})
