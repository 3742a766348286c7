/**
 * The position of a write in the history of a database: 1 for the first write ever, never reused, never regressing.
 * The table format gives it 56 bits; JavaScript numbers hold 53 of them exactly, which is enough for a million
 * writes a second over 285 years.
 */
export type Sequence = number & { readonly __brand: 'sequence' }

export function sequence(value: number): Sequence {
  return value as Sequence
}
