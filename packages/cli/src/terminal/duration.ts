import { UsageError } from './usage-error.ts'

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A time such as `90s`, `15m`, `2h` or `7d` in milliseconds; undefined stays undefined. */
export function durationMs(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d{1,9})(s|m|h|d)$/.exec(text)
  if (match === null) throw new UsageError(`--${option} takes a time such as 90s, 15m, 2h or 7d, not '${text}'`)
  return Number(match[1]) * (UNITS_MS[match[2] as string] as number)
}
