import { parseArgs, type ParseArgsConfig } from 'node:util'
import { UsageError } from './usage-error.ts'

export type OptionsConfig = NonNullable<ParseArgsConfig['options']>

interface Config<T extends OptionsConfig> {
  args: string[]
  options: T
  allowPositionals: true
}

export interface CommandLine<T extends OptionsConfig> {
  readonly values: ReturnType<typeof parseArgs<Config<T>>>['values']
  readonly positionals: readonly string[]
}

/** Splits arguments into options and the rest. An unknown option, or one without its value, is a UsageError. */
export function parseCommandLine<T extends OptionsConfig>(args: readonly string[], options: T): CommandLine<T> {
  try {
    const { values, positionals } = parseArgs<Config<T>>({ args: [...args], options, allowPositionals: true })
    return { values, positionals }
  } catch (error) {
    // The first sentence names the argument that is wrong; the rest is advice to whoever calls parseArgs.
    throw new UsageError(((error as Error).message.split('. ')[0] as string).replaceAll('\n', ' '))
  }
}

/** A whole number of at least `least`, as decimal digits; undefined stays undefined. */
export function wholeNumber(text: string | undefined, option: string, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < least || !Number.isSafeInteger(value)) {
    throw new UsageError(`--${option} takes a whole number from ${least} on, not '${text}'`)
  }
  return value
}
