import { MoraineError } from '@moraine/base'
import type { PlainError } from './job-messages.ts'

export function toPlainError(error: unknown): PlainError {
  if (error instanceof MoraineError) return { code: error.code, message: error.message, detail: error.detail }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { code: 'INTERNAL', message: `a defect in a worker thread: ${message}`, detail: {} }
}

export function fromPlainError({ code, message, detail }: PlainError): MoraineError {
  return new MoraineError(code, message, { detail })
}
