/** What a write does, as the model knows it. Keys, values and operands are latin-1 strings, one character a byte. */
export type ModelOperation = PointOperation | RangeDelete

/** A write of one key. */
export interface PointOperation {
  readonly kind: 'put' | 'delete' | 'merge'
  /** Empty, or left out: the default one. */
  readonly keyspace?: string
  readonly key: string
  /** Of a put the value, of a merge the operand. */
  readonly value?: string
  /** Left out: what the keyspace says. */
  readonly ttlMs?: number
}

/** Deletes the keys in `[gte, lt)` of a keyspace. */
export interface RangeDelete {
  readonly kind: 'deleteRange'
  readonly keyspace?: string
  readonly gte?: string
  readonly lt?: string
}

export function put(key: string, value: string): PointOperation {
  return { kind: 'put', key, value }
}

export function del(key: string): PointOperation {
  return { kind: 'delete', key }
}
