import { describe } from './codec.ts'

/** Which values besides strings, booleans, null, plain objects and arrays a format can carry. */
export interface PlainValueRules {
  readonly nonFinite: boolean
  readonly bigints: boolean
  readonly bytesAndDates: boolean
}

const MOST_DEPTH = 200
const MAX_UINT64 = 2n ** 64n - 1n
const MIN_INT64 = -(2n ** 63n)

/**
 * Throws for a value that would not come back as it went in: functions, instances of classes, cycles, NaN in JSON. The
 * cache gives back the object itself and the database a decoded copy, so the two must be equal.
 */
export function checkPlainValue(value: unknown, rules: PlainValueRules, depth = 0): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return
    case 'number':
      if (rules.nonFinite || Number.isFinite(value)) return
      break
    case 'bigint':
      if (rules.bigints && value <= MAX_UINT64 && value >= MIN_INT64) return
      break
    case 'object':
      if (value === null) return
      if (depth > MOST_DEPTH) throw new TypeError(`the value is nested more than ${MOST_DEPTH} deep, or refers to itself`)
      if (checkObject(value, rules, depth + 1)) return
      break
    default:
  }
  throw new TypeError(`${describe(value)} cannot be stored by this codec`)
}

function checkObject(value: object, rules: PlainValueRules, depth: number): boolean {
  if (Array.isArray(value)) {
    for (const item of value) checkPlainValue(item, rules, depth)
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    // A field that is undefined counts as absent, as everywhere in JavaScript's own JSON.
    for (const name in value) {
      const field = (value as Record<string, unknown>)[name]
      if (field !== undefined) checkPlainValue(field, rules, depth)
    }
    return true
  }
  return rules.bytesAndDates && (value instanceof Uint8Array || value instanceof Date)
}
