import { MoraineError } from '@moraine/base'

/**
 * Turns operands written by `merge` into a value. Code of the application or one that comes with Moraine. It must be
 * deterministic: a value may be worked out any number of times, at reads and at compactions, and in any grouping that the
 * rules below allow. Its name and version stand in the database, which is not opened with another one.
 */
export interface MergeOperator {
  /** 1 to 64 letters, digits, `_`, `-` or `.`; says what the operands mean. */
  readonly name: string
  /** A whole number from 1; to be raised when the same operands come to mean something else. */
  readonly version: number
  /**
   * The value of a key after `operands`, oldest first and at least one, have been applied to `base`: the value before
   * them, or undefined when there was none. The arrays must not be kept or changed.
   */
  merge(key: Uint8Array, base: Uint8Array | undefined, operands: readonly Uint8Array[]): Uint8Array
  /**
   * One operand that does to any base what `operands`, oldest first and at least two, do in turn. Left out, operands are
   * kept apart until they meet their base, and reads get slower with every one of them.
   */
  combine?(key: Uint8Array, operands: readonly Uint8Array[]): Uint8Array
  /** Throws for an operand that `merge` could not take; called before one is written. */
  check?(operand: Uint8Array): void
}

/** What a database remembers of an operator. */
export interface OperatorName {
  readonly name: string
  readonly version: number
}

export function operatorText({ name, version }: OperatorName): string {
  return `'${name}' version ${version}`
}

export function sameOperator(a: OperatorName | undefined, b: OperatorName | undefined): boolean {
  return a?.name === b?.name && a?.version === b?.version
}

/** Asks an operator for a value. INVALID when it throws or gives no bytes: the operands are what it cannot take. */
export function applyOperator(
  operator: MergeOperator,
  key: Uint8Array,
  base: Uint8Array | undefined,
  operands: readonly Uint8Array[],
): Uint8Array {
  let value: unknown
  try {
    value = operator.merge(key, base, operands)
  } catch (cause) {
    throw failure(operator, `threw: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  if (value instanceof Uint8Array && value.length <= MAX_VALUE_BYTES) return value
  throw failure(operator, 'gave something else than a Uint8Array of at most 1 GiB', undefined)
}

const MAX_VALUE_BYTES = 0x4000_0000

function failure(operator: MergeOperator, what: string, cause: unknown): MoraineError {
  const message = `merge operator ${operatorText(operator)} ${what}`
  return new MoraineError('INVALID', message, { cause, detail: { mergeOperator: operator.name } })
}
