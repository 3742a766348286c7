import { isMoraineError } from '@moraine/base'

/** Something that is wrong with a table, or that keeps us from telling. */
export interface Finding {
  /** `damaged`: not what was written. `unreadable`: whole as far as one can see, but in a form that is not read here. */
  readonly verdict: 'damaged' | 'unreadable'
  /** What it is, without the table's name. */
  readonly problem: string
}

/** What an error says about a table's bytes. Undefined when it says nothing about them: then it is a failure instead. */
export function findingOf(error: unknown, tableName: string): Finding | undefined {
  if (isMoraineError(error, 'CORRUPTION')) return { verdict: 'damaged', problem: withoutTableName(error.message, tableName) }
  if (isMoraineError(error, 'INVALID')) return { verdict: 'unreadable', problem: withoutTableName(error.message, tableName) }
  return undefined
}

/** The verdict in a line of text, to be seen among many that are fine. */
export function headline(verdict: Finding['verdict']): string {
  return verdict === 'damaged' ? 'DAMAGED' : 'UNREADABLE'
}

export function withoutTableName(message: string, tableName: string): string {
  for (const start of [`table ${tableName} is damaged: `, `table ${tableName} cannot be read: `]) {
    if (message.startsWith(start)) return message.slice(start.length)
  }
  return message
}
