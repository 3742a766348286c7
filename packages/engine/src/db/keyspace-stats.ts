import { keyspaceOf } from '../key/keyspace.ts'
import type { KeyspaceRecord } from '../manifest/keyspace-record.ts'
import { filesOf, type Version } from '../manifest/version.ts'
import type { OperatorName } from '../merge/merge-operator.ts'

/** A keyspace as it lies in the tables, and what is remembered of it. Sizes in bytes. */
export interface KeyspaceStats {
  /** Empty for the default keyspace. */
  readonly name: string
  readonly files: number
  readonly sizeBytes: number
  /** Entries in tables: every version of a key, deletes and range deletes included. */
  readonly entries: number
  /** Deletes and range deletes among them. */
  readonly deletions: number
  readonly rangeTombstones: number
  readonly mergeOperator: OperatorName | undefined
  /** Infinity: entries live for ever unless they say otherwise. */
  readonly ttlMs: number
}

interface Totals {
  files: number
  sizeBytes: number
  entries: number
  deletions: number
  rangeTombstones: number
}

/** The keyspaces that have tables or of which something is remembered; the default one first, then by name. */
export function keyspaceStats(version: Version, records: readonly KeyspaceRecord[]): KeyspaceStats[] {
  const totals = new Map<string, Totals>()
  const of = (name: string): Totals => {
    const known = totals.get(name) ?? { files: 0, sizeBytes: 0, entries: 0, deletions: 0, rangeTombstones: 0 }
    totals.set(name, known)
    return known
  }
  for (const { name } of records) of(name)
  for (const file of filesOf(version)) {
    const total = of(keyspaceOf(file.smallestKey))
    total.files++
    total.sizeBytes += file.sizeBytes
    total.entries += file.entryCount
    total.deletions += file.deletionCount
    total.rangeTombstones += file.rangeTombstoneCount ?? 0
  }
  return [...totals].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, total]) => {
    const record = records.find((known) => known.name === name)
    return { name, ...total, mergeOperator: record?.mergeOperator, ttlMs: record?.ttlMs ?? Number.POSITIVE_INFINITY }
  })
}
