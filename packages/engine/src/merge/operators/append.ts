import { concatBytes } from '@moraine/base'
import type { MergeOperator } from '../merge-operator.ts'

/** Appends operands to the value, byte for byte: the caller's operands carry whatever separates them. */
export const append: MergeOperator = {
  name: 'append',
  version: 1,
  merge: (_key, base, operands) => concatBytes(base === undefined ? operands : [base, ...operands]),
  combine: (_key, operands) => concatBytes(operands),
}
