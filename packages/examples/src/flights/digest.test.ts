// Invariant: the digest depends on which entries there are, on every bit of them, and not on their order.
import { describe, expect, it } from 'vitest'
import { EntryDigest } from './digest.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const entries = Array.from({ length: 100 }, (_, i) => [bytes(`key-${i}`), bytes(`value-${i * 7}`)] as const)

function digestOf(list: readonly (readonly [Uint8Array, Uint8Array])[]): string {
  const digest = new EntryDigest()
  for (const [key, value] of list) digest.add(key, value)
  return digest.toString()
}

describe('entry digest', () => {
  it('does not depend on order or on the way the entries were split', () => {
    const whole = digestOf(entries)
    expect(digestOf(entries.toReversed())).toBe(whole)
    const first = new EntryDigest()
    const second = new EntryDigest()
    entries.forEach(([key, value], i) => (i % 3 === 0 ? first : second).add(key, value))
    first.merge(second.parts())
    expect(first.toString()).toBe(whole)
    expect(first.rows).toBe(100)
  })

  it('sees every flipped bit, a missing entry, a doubled one and swapped values', () => {
    const whole = digestOf(entries)
    const [key, value] = entries[42] as readonly [Uint8Array, Uint8Array]
    for (const part of [key, value]) {
      for (let bit = 0; bit < part.length * 8; bit++) {
        const at = bit >> 3
        part[at] = (part[at] as number) ^ (1 << (bit & 7))
        expect(digestOf(entries)).not.toBe(whole)
        part[at] = (part[at] as number) ^ (1 << (bit & 7))
      }
    }
    expect(digestOf(entries)).toBe(whole)
    expect(digestOf(entries.slice(1))).not.toBe(whole)
    expect(digestOf([...entries, [key, value]])).not.toBe(whole)
    const [otherKey, otherValue] = entries[43] as readonly [Uint8Array, Uint8Array]
    const swapped = entries.map(([k, v]) => [k, k === key ? otherValue : k === otherKey ? value : v] as const)
    expect(digestOf(swapped)).not.toBe(whole)
  })

  it('knows where a key ends', () => {
    expect(digestOf([[bytes('ab'), bytes('c')]])).not.toBe(digestOf([[bytes('a'), bytes('bc')]]))
  })
})
