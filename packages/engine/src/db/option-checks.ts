import { MoraineError } from '@moraine/base'
import { PRICE_TABLES, priceTableDefect } from '@moraine/object-store'

/** Looks at one option's value: undefined when it is fine, else what it may be, in words. */
export type OptionCheck = (value: unknown) => string | undefined

export type OptionChecks<Options> = { readonly [Name in keyof Required<Options>]: OptionCheck }

/**
 * Throws INVALID for options that are not an object, for an option nobody knows (a typo must not be silently ignored),
 * and for a value of the wrong type or size. An option that is undefined counts as not given.
 */
export function checkOptions<Options extends object>(call: string, options: Options, checks: OptionChecks<Options>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new MoraineError('INVALID', `the options of ${call} must be an object`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      const known = Object.keys(checks).join(', ')
      throw new MoraineError('INVALID', `${call} has no option '${name}'; it knows ${known}`, { detail: { option: name } })
    }
    if (value === undefined) continue
    const wanted = checks[name as keyof Options](value)
    if (wanted !== undefined) {
      throw new MoraineError('INVALID', `option '${name}' of ${call} must be ${wanted}, not ${describe(value)}`, {
        detail: { option: name },
      })
    }
  }
}

export const booleanOption: OptionCheck = (value) => (typeof value === 'boolean' ? undefined : 'true or false')

export const textOption: OptionCheck = (value) =>
  typeof value === 'string' && value !== '' ? undefined : 'a non-empty string'

export function optional(check: OptionCheck): OptionCheck {
  return (value) => (value === undefined ? undefined : check(value))
}

export function integerOption(least: number, most: number): OptionCheck {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? undefined
      : `a whole number from ${least} to ${most}`
}

/** A whole number in a range, or 0 for off. */
export function zeroOrIntegerOption(least: number, most: number): OptionCheck {
  const check = integerOption(least, most)
  return (value) => {
    const wanted = value === 0 ? undefined : check(value)
    return wanted && `0 or ${wanted}`
  }
}

export function oneOfOption(...words: readonly string[]): OptionCheck {
  return (value) => (words.includes(value as string) ? undefined : words.map((word) => `'${word}'`).join(' or '))
}

/** A price table, or the name of one. */
export const pricesOption: OptionCheck = (value) =>
  typeof value === 'string' && Object.hasOwn(PRICE_TABLES, value) ? undefined : priceTableDefect(value)

/** An object with at least this method. */
export function objectOption(method: string): OptionCheck {
  return (value) =>
    typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[method] === 'function'
      ? undefined
      : `an object with a method ${method}()`
}

export const signalOption: OptionCheck = (value) => (value instanceof AbortSignal ? undefined : 'an AbortSignal')

function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value.slice(0, 60)}'`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
