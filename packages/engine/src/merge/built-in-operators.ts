import type { MergeOperator, OperatorName } from './merge-operator.ts'
import { append } from './operators/append.ts'
import { counter } from './operators/counter.ts'
import { jsonPatch } from './operators/json-patch.ts'

const BUILT_IN: readonly MergeOperator[] = [counter, append, jsonPatch]

/** The operator of this name and version that comes with Moraine: every process has it, worker threads and compactors too. */
export function builtInOperator({ name, version }: OperatorName): MergeOperator | undefined {
  return BUILT_IN.find((operator) => operator.name === name && operator.version === version)
}
