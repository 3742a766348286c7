import { commonPrefixLength, MoraineError, utf8Encode } from '@moraine/base'

/**
 * Named keyspaces share one tree, one log and one order of keys. What keeps them apart is how their keys are stored:
 *
 *     default keyspace        key                        as it is, unless it begins with 0xff:
 *                             0xff 0x00 key[1..]         then a zero is put in, so that 0xff 0x01 stays free
 *     keyspace "name"         0xff 0x01 name 0x00 key
 *
 * Order is kept in both: keys of one keyspace lie together and in their own order, those of the default keyspace before
 * all others. The name itself stands in the key, rather than a number for it, so that databases with the same keyspaces
 * can be united, and tables can be read, without asking anybody what a number means. Blocks store it once.
 */
const ESCAPE = 0xff
const NAMED = 0x01

/** 1 to 64 characters out of letters, digits and `_ - .` */
const NAME = /^[\w.-]{1,64}$/

/** Bytes that storing a key adds to it, at most. */
export const MAX_PREFIX_BYTES = 67

/** The default keyspace has no name. */
export const DEFAULT_KEYSPACE = ''

const NOTHING = new Uint8Array(0)

/** Where the named keyspaces begin; every stored key of the default keyspace is before this. */
export const DEFAULT_END: Uint8Array = Uint8Array.of(ESCAPE, NAMED)

export function checkKeyspaceName(name: unknown): string {
  if (typeof name === 'string' && NAME.test(name)) return name
  throw new MoraineError('INVALID', "a keyspace's name has 1 to 64 letters, digits, '_', '-' or '.'", {
    detail: { keyspace: typeof name === 'string' ? name.slice(0, 80) : typeof name },
  })
}

/** A keyspace by its name, or by a handle that has one. */
export type KeyspaceReference = string | { readonly name: string }

/** The checked name of a keyspace that a caller refers to; INVALID when it is none. */
export function keyspaceName(reference: KeyspaceReference): string {
  const name: unknown = typeof reference === 'object' && reference !== null ? reference.name : reference
  return name === DEFAULT_KEYSPACE ? DEFAULT_KEYSPACE : checkKeyspaceName(name)
}

/** What stored keys of a keyspace begin with; nothing for the default one. The name must be a sound one. */
export function keyspacePrefix(name: string): Uint8Array {
  if (name === DEFAULT_KEYSPACE) return NOTHING
  const text = utf8Encode(name)
  const prefix = new Uint8Array(text.length + 3)
  prefix[0] = ESCAPE
  prefix[1] = NAMED
  prefix.set(text, 2)
  return prefix
}

/** The first key after all stored keys of a keyspace. */
export function keyspaceEnd(prefix: Uint8Array): Uint8Array {
  if (prefix.length === 0) return DEFAULT_END
  const end = prefix.slice()
  end[end.length - 1] = 1
  return end
}

/** The stored form of a key. The same array when they are equal. */
export function storedKey(prefix: Uint8Array, key: Uint8Array): Uint8Array {
  if (prefix.length > 0) {
    const stored = new Uint8Array(prefix.length + key.length)
    stored.set(prefix)
    stored.set(key, prefix.length)
    return stored
  }
  if (key[0] !== ESCAPE) return key
  const stored = new Uint8Array(key.length + 1)
  stored[0] = ESCAPE
  stored.set(key.subarray(1), 2)
  return stored
}

/** The key as the user knows it, out of its stored form; a view of `stored` where that is possible. */
export function userKey(prefix: Uint8Array, stored: Uint8Array): Uint8Array {
  if (prefix.length > 0) return stored.subarray(prefix.length)
  if (stored[0] !== ESCAPE) return stored
  const key = new Uint8Array(stored.length - 1)
  key[0] = ESCAPE
  key.set(stored.subarray(2), 1)
  return key
}

/** How many bytes of a stored key name its keyspace; 0 in the default one. */
export function prefixLength(stored: Uint8Array, start: number, end: number): number {
  if (end - start < 3 || stored[start] !== ESCAPE || stored[start + 1] !== NAMED) return 0
  const zero = stored.indexOf(0, start + 2)
  return zero < 0 || zero >= end ? 0 : zero + 1 - start
}

/** What a stored key begins with to name its keyspace; nothing in the default one. A view. */
export function prefixOf(stored: Uint8Array): Uint8Array {
  return stored.subarray(0, prefixLength(stored, 0, stored.length))
}

/** The name of the keyspace of a stored key. */
export function keyspaceOf(stored: Uint8Array): string {
  const length = prefixLength(stored, 0, stored.length)
  return length === 0 ? DEFAULT_KEYSPACE : String.fromCharCode(...stored.subarray(2, length - 1))
}

/** Whether a stored key is one of the keyspace with this prefix. */
export function isInKeyspace(prefix: Uint8Array, stored: Uint8Array, start: number, end: number): boolean {
  if (prefix.length === 0) return end === start || stored[start] !== ESCAPE || stored[start + 1] !== NAMED
  return end - start >= prefix.length && commonPrefixLength(prefix, stored.subarray(start, start + prefix.length)) === prefix.length
}
