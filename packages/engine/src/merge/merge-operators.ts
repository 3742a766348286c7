import { keyspaceOf } from '../key/keyspace.ts'
import { builtInOperator } from './built-in-operators.ts'
import type { MergeOperator, OperatorName } from './merge-operator.ts'

/** Which keyspace has which operator, as plain data: fit for another thread or another process. */
export type OperatorNames = readonly (readonly [keyspace: string, operator: OperatorName])[]

/** The merge operators at hand, by keyspace. */
export class MergeOperators {
  readonly #byKeyspace = new Map<string, MergeOperator>()

  /** Those that come with Moraine; the others are not known here, and their operands are kept as they are. */
  static builtIn(names: OperatorNames): MergeOperators {
    const operators = new MergeOperators()
    for (const [keyspace, name] of names) {
      const operator = builtInOperator(name)
      if (operator !== undefined) operators.set(keyspace, operator)
    }
    return operators
  }

  set(keyspace: string, operator: MergeOperator): void {
    this.#byKeyspace.set(keyspace, operator)
  }

  get(keyspace: string): MergeOperator | undefined {
    return this.#byKeyspace.get(keyspace)
  }

  /** The operator of a stored key. */
  of(stored: Uint8Array): MergeOperator | undefined {
    if (this.#byKeyspace.size === 0) return undefined
    return this.#byKeyspace.get(keyspaceOf(stored))
  }

  names(): OperatorNames {
    return [...this.#byKeyspace].map(([keyspace, { name, version }]) => [keyspace, { name, version }] as const)
  }

  /** Whether some of them are code of the application, which only this thread has. */
  get hasApplicationCode(): boolean {
    return [...this.#byKeyspace.values()].some((operator) => builtInOperator(operator) !== operator)
  }
}
