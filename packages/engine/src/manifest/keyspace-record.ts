import { MoraineError } from '@moraine/base'
import { DEFAULT_KEYSPACE } from '../key/keyspace.ts'
import { type OperatorName, operatorText, sameOperator } from '../merge/merge-operator.ts'

/** What a database remembers of a keyspace, so that nobody opens it with another meaning. */
export interface KeyspaceRecord {
  /** Empty for the default keyspace. */
  readonly name: string
  /** Undefined: none was ever given. */
  readonly mergeOperator: OperatorName | undefined
  /** How long its entries live unless they say otherwise, in milliseconds; Infinity: for ever. */
  readonly ttlMs: number
}

export function keyspaceText(name: string): string {
  return name === DEFAULT_KEYSPACE ? 'the default keyspace' : `keyspace '${name}'`
}

/** INVALID when a keyspace that has a merge operator is to be used with another one. */
export function checkSameOperator({ name, mergeOperator }: KeyspaceRecord, given: OperatorName): void {
  if (mergeOperator === undefined || sameOperator(mergeOperator, given)) return
  throw new MoraineError(
    'INVALID',
    `${keyspaceText(name)} has merge operator ${operatorText(mergeOperator)}, not ${operatorText(given)}; its operands would be misread: pass the operator that it was written with`,
    { detail: { keyspace: name, mergeOperator: mergeOperator.name, version: mergeOperator.version } },
  )
}

/**
 * The records of several databases as one, for a union. INVALID when they disagree: the same operand would mean two things,
 * or entries of one keyspace would live for different times.
 */
export function uniteKeyspaces(sources: readonly (readonly KeyspaceRecord[])[]): KeyspaceRecord[] {
  const united = new Map<string, KeyspaceRecord>()
  for (const record of sources.flat()) {
    const other = united.get(record.name)
    if (other === undefined) {
      united.set(record.name, record)
      continue
    }
    if (record.mergeOperator !== undefined) checkSameOperator(other, record.mergeOperator)
    if (record.ttlMs !== other.ttlMs) {
      throw new MoraineError(
        'INVALID',
        `${keyspaceText(record.name)} has a default TTL of ${other.ttlMs} ms in one source and of ${record.ttlMs} ms in another: open them with the same ttlMs before they are united`,
        { detail: { keyspace: record.name } },
      )
    }
    united.set(record.name, { ...other, mergeOperator: other.mergeOperator ?? record.mergeOperator })
  }
  return [...united.values()]
}
