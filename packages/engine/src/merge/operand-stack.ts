import { MoraineError, printableBytes } from '@moraine/base'
import { applyOperator, type MergeOperator } from './merge-operator.ts'

/** Merge operands of one key, gathered from the newest to the oldest. The arrays are not copied. */
export class OperandStack {
  readonly #newestFirst: Uint8Array[] = []
  /** Sequence number of the newest operand; 0 while there is none. */
  newestSeq = 0

  get size(): number {
    return this.#newestFirst.length
  }

  push(bytes: Uint8Array, start: number, end: number, seq: number): void {
    if (this.#newestFirst.length === 0) this.newestSeq = seq
    this.#newestFirst.push(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
  }

  /** Takes the oldest operand off. */
  pop(): void {
    this.#newestFirst.pop()
  }

  clear(): void {
    this.#newestFirst.length = 0
    this.newestSeq = 0
  }

  oldestFirst(): Uint8Array[] {
    return this.#newestFirst.toReversed()
  }

  /** The value after all operands. INVALID when the key has no operator here, or the operator cannot take them. */
  applyTo(operator: MergeOperator | undefined, key: Uint8Array, base: Uint8Array | undefined): Uint8Array {
    if (operator !== undefined) return applyOperator(operator, key, base, this.oldestFirst())
    throw new MoraineError(
      'INVALID',
      `key '${printableBytes(key, 64)}' was written with merge, and its merge operator is not given: pass it as mergeOperator when opening`,
    )
  }
}
