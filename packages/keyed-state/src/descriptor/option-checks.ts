import { MoraineError } from '@moraine/base'

/** Looks at one option: undefined when it is fine, else what it may be, in words. */
export type OptionCheck = (value: unknown) => string | undefined

export type OptionChecks<Options> = { readonly [Name in keyof Required<Options>]: OptionCheck }

/** INVALID for an option that nobody knows and for a value that is not what it may be. */
export function checkOptions<Options extends object>(call: string, options: Options, checks: OptionChecks<Options>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new MoraineError('INVALID', `the options of ${call} must be an object`)
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, name)) {
      throw new MoraineError('INVALID', `${call} has no option '${name}'; it knows ${Object.keys(checks).join(', ')}`, { detail: { option: name } })
    }
    const wanted = value === undefined ? undefined : checks[name as keyof Options](value)
    if (wanted !== undefined) {
      throw new MoraineError('INVALID', `option '${name}' of ${call} must be ${wanted}`, { detail: { option: name } })
    }
  }
}

export const anything: OptionCheck = () => undefined

export function wholeNumber(least: number, most: number): OptionCheck {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most ? undefined : `a whole number from ${least} to ${most}`
}

export const text: OptionCheck = (value) =>
  typeof value === 'string' && value !== '' && value.length <= 200 ? undefined : 'a text of 1 to 200 characters'

export const someFunction: OptionCheck = (value) => (typeof value === 'function' ? undefined : 'a function')

export function withMethod(method: string): OptionCheck {
  return (value) =>
    typeof value === 'object' && value !== null && typeof (value as Record<string, unknown>)[method] === 'function'
      ? undefined
      : `an object with a method ${method}()`
}
