import { append, type CompactionFilter, counter, type KeyspaceOptions, type MergeOperator } from 'moraine'
import type { ModelKeyspace } from './model-database.ts'
import { bytes, text } from './latin1.ts'

/** Keyspaces that differ in everything a keyspace can have, for the model and for the engine. */
export interface DrivenKeyspace extends ModelKeyspace {
  readonly options: KeyspaceOptions
  readonly mergeOperator?: MergeOperator | undefined
  /** An operand, as that keyspace's operator takes them. */
  readonly operand?: ((step: number, below: (bound: number) => number) => string) | undefined
}

/** Not associative: no two operands can be made one, and in any other order or grouping the result is another one. */
const nest: MergeOperator = {
  name: 'test.nest',
  version: 3,
  merge: (_key, base, operands) => bytes(operands.map(text).reduce(nested, base === undefined ? undefined : text(base)) as string),
}

function nested(base: string | undefined, operand: string): string {
  return `${base ?? '-'}<${operand}>`
}

/** Removes what begins with 'x', rewrites what begins with 'old'. */
const filter: CompactionFilter = {
  name: 'test.filter',
  filter(_key, value) {
    const before = text(value)
    const after = filtered(before)
    return after === undefined ? 'remove' : after === before ? 'keep' : { replace: bytes(after) }
  },
}

function filtered(value: string): string | undefined {
  if (value.startsWith('x')) return undefined
  return value.startsWith('old') ? `new${value.slice(3)}` : value
}

function joined(base: string | undefined, operand: string): string {
  return (base ?? '') + operand
}

function added(base: string | undefined, operand: string): string {
  const sum = (base === undefined ? 0n : number(base)) + number(operand)
  return counterText(BigInt.asIntN(64, sum))
}

function number(latin1: string): bigint {
  return Buffer.from(latin1, 'latin1').readBigInt64LE()
}

export function counterText(value: bigint): string {
  const buffer = Buffer.alloc(8)
  buffer.writeBigInt64LE(value)
  return buffer.toString('latin1')
}

/** An operand of a counter: mostly small, sometimes so large that sums wrap around. */
function counterOperand(_step: number, below: (bound: number) => number): string {
  const small = BigInt(below(2000) - 1000)
  return counterText(below(10) === 0 ? BigInt.asIntN(64, 2n ** 63n - 1n + small) : small)
}

const shortText = (step: number, below: (bound: number) => number): string => `${step},`.padEnd(below(30), '.')

/** @param defaultTtlMs of the default keyspace; undefined: for ever */
export function drivenKeyspaces(defaultTtlMs: number | undefined, withFilter: boolean): DrivenKeyspace[] {
  const ttl = defaultTtlMs === undefined ? {} : { ttlMs: defaultTtlMs }
  return [
    { name: '', operator: joined, mergeOperator: append, operand: shortText, ...ttl, options: { mergeOperator: append, ...ttl } },
    { name: 'counts', operator: added, mergeOperator: counter, operand: counterOperand, options: { mergeOperator: counter } },
    { name: 'nested', operator: nested, mergeOperator: nest, operand: shortText, options: { mergeOperator: nest } },
    { name: 'short', operator: joined, mergeOperator: append, operand: shortText, ttlMs: 20_000, options: { mergeOperator: append, ttlMs: 20_000 } },
    { name: 'a.b-c_1', ...(withFilter && { filtered }), options: { compression: 'none', ...(withFilter && { compactionFilter: filter }) } },
  ]
}
