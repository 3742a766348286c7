import { MoraineError } from '@moraine/base'

/** The error of stored bytes that cannot be what was written. `name` is the file, `problem` what is wrong with it. */
export function corruption(name: string, problem: string, cause?: unknown): MoraineError {
  return new MoraineError('CORRUPTION', `table ${name} is damaged: ${problem}`, { detail: { table: name }, cause })
}

/** The error of a table that is whole but uses something that this code does not read. */
export function unsupported(name: string, problem: string): MoraineError {
  return new MoraineError('INVALID', `table ${name} cannot be read: ${problem}`, { detail: { table: name } })
}
