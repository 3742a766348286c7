import { isMoraineError } from '@moraine/base'

/**
 * What is wrong with a table, without the name that the reader puts in front of it. Undefined when the error says
 * nothing about the table's bytes: then it is not a finding but a failure.
 */
export function problemText(error: unknown, tableName: string): string | undefined {
  if (!isMoraineError(error, 'CORRUPTION') && !isMoraineError(error, 'INVALID')) return undefined
  return withoutTableName(error.message, tableName)
}

export function withoutTableName(message: string, tableName: string): string {
  for (const start of [`table ${tableName} is damaged: `, `table ${tableName} cannot be read: `]) {
    if (message.startsWith(start)) return message.slice(start.length)
  }
  return message
}
