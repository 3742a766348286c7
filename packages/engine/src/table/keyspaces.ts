import { MoraineError } from '@moraine/base'
import type { Compression } from '@moraine/sstable'
import type { OperatorNames } from '../merge/merge-operators.ts'
import { MergeOperators } from '../merge/merge-operators.ts'
import { type MergeOperator, operatorText } from '../merge/merge-operator.ts'
import { builtInOperator } from '../merge/built-in-operators.ts'
import { checkSameOperator, type KeyspaceRecord, keyspaceText } from '../manifest/keyspace-record.ts'
import type { CompactionFilter, TableFilters } from './compaction-filter.ts'

/** How a keyspace is used in this process. What is undefined is as the database remembers it, or as the default has it. */
export interface KeyspaceSettings {
  readonly mergeOperator: MergeOperator | undefined
  /** Infinity: entries live for ever. */
  readonly ttlMs: number | undefined
  readonly compactionFilter: CompactionFilter | undefined
  /** By level; the last one goes for all deeper levels. */
  readonly compression: readonly Compression[] | undefined
  /** Values of at least this size go to blob files; 0: none do. */
  readonly blobThresholdBytes: number | undefined
}

export const NO_SETTINGS: KeyspaceSettings = {
  mergeOperator: undefined,
  ttlMs: undefined,
  compactionFilter: undefined,
  compression: undefined,
  blobThresholdBytes: undefined,
}

/**
 * The keyspaces of an open database: what it remembers of them, and the code and the settings that this process has for
 * them. One that nobody has declared here is compacted all the same, by what is remembered.
 */
export class Keyspaces {
  readonly operators: MergeOperators = new MergeOperators()
  readonly #declared = new Map<string, KeyspaceSettings>()
  /** Of keyspaces whose entries expire by default. */
  readonly #ttls = new Map<string, number>()
  #records: readonly KeyspaceRecord[]

  constructor(records: readonly KeyspaceRecord[]) {
    this.#records = records
    for (const record of records) this.#know(record)
  }

  /** For the manifest; the same list until something changes. */
  get records(): readonly KeyspaceRecord[] {
    return this.#records
  }

  /**
   * What this process has for a keyspace; a second declaration adds to the first. INVALID when it contradicts what the
   * database remembers, or what was declared before.
   */
  declare(name: string, settings: KeyspaceSettings): void {
    const record = this.#records.find((known) => known.name === name)
    this.#checkOperator(name, record, settings.mergeOperator)
    const before = this.#declared.get(name) ?? NO_SETTINGS
    const declared: KeyspaceSettings = {
      mergeOperator: settings.mergeOperator ?? before.mergeOperator,
      ttlMs: settings.ttlMs ?? before.ttlMs,
      compactionFilter: settings.compactionFilter ?? before.compactionFilter,
      compression: settings.compression ?? before.compression,
      blobThresholdBytes: settings.blobThresholdBytes ?? before.blobThresholdBytes,
    }
    this.#declared.set(name, declared)
    const { mergeOperator } = declared
    if (mergeOperator !== undefined) this.operators.set(name, mergeOperator)
    const next: KeyspaceRecord = {
      name,
      mergeOperator:
        mergeOperator === undefined ? record?.mergeOperator : { name: mergeOperator.name, version: mergeOperator.version },
      ttlMs: declared.ttlMs ?? record?.ttlMs ?? Number.POSITIVE_INFINITY,
    }
    if (record !== undefined && sameRecord(record, next)) return
    this.#setTtl(name, next.ttlMs)
    this.#records = [...this.#records.filter((known) => known.name !== name), next]
  }

  /** Takes over what the owner has remembered since; for who follows it. What was declared here stays. */
  follow(records: readonly KeyspaceRecord[]): void {
    if (records === this.#records) return
    this.#records = records
    for (const record of records) if (this.operators.get(record.name) === undefined) this.#know(record)
  }

  /** The default TTL of a keyspace, in milliseconds; Infinity when its entries live for ever. */
  ttlOf(name: string): number {
    return this.#ttls.get(name) ?? Number.POSITIVE_INFINITY
  }

  /** Whether entries of any keyspace expire by default. */
  get hasDefaultTtl(): boolean {
    return this.#ttls.size > 0
  }

  /** Keyspaces with a compression of their own, at a level. */
  compressions(level: number): (readonly [keyspace: string, compression: Compression])[] {
    return [...this.#declared].flatMap(([name, { compression }]) => {
      const own = compression?.[level] ?? compression?.at(-1)
      return own === undefined ? [] : [[name, own] as const]
    })
  }

  /** Keyspaces whose values go to blob files from a size of their own on. */
  blobThresholds(): (readonly [keyspace: string, thresholdBytes: number])[] {
    return [...this.#declared].flatMap(([name, { blobThresholdBytes: own }]) => (own === undefined ? [] : [[name, own] as const]))
  }

  /** The filters of a merge into a level; undefined when no keyspace has one. */
  filters(outputLevel: number): TableFilters | undefined {
    const needed = new Map<string, CompactionFilter>()
    for (const [name, { compactionFilter }] of this.#declared) {
      if (compactionFilter !== undefined && compactionFilter.isNeeded?.() !== false) needed.set(name, compactionFilter)
    }
    return needed.size === 0 ? undefined : { outputLevel, of: (name) => needed.get(name) }
  }

  operatorNames(): OperatorNames {
    return this.operators.names()
  }

  #know({ name, mergeOperator, ttlMs }: KeyspaceRecord): void {
    this.#setTtl(name, ttlMs)
    const known = mergeOperator === undefined ? undefined : builtInOperator(mergeOperator)
    if (known !== undefined) this.operators.set(name, known)
  }

  #setTtl(name: string, ttlMs: number): void {
    if (ttlMs === Number.POSITIVE_INFINITY) this.#ttls.delete(name)
    else this.#ttls.set(name, ttlMs)
  }

  #checkOperator(name: string, record: KeyspaceRecord | undefined, given: MergeOperator | undefined): void {
    const remembered = record?.mergeOperator
    if (record !== undefined && given !== undefined) checkSameOperator(record, given)
    if (remembered === undefined || given !== undefined || this.operators.get(name) !== undefined) return
    throw new MoraineError(
      'INVALID',
      `${keyspaceText(name)} was written with merge operator ${operatorText(remembered)}, which is not given: pass it as mergeOperator`,
      { detail: { keyspace: name, mergeOperator: remembered.name, version: remembered.version } },
    )
  }
}

function sameRecord(a: KeyspaceRecord, b: KeyspaceRecord): boolean {
  return a.ttlMs === b.ttlMs && a.mergeOperator?.name === b.mergeOperator?.name && a.mergeOperator?.version === b.mergeOperator?.version
}
