import { ByteReader, type ByteWriter } from '@moraine/base'
import type { KeyspaceRecord } from './keyspace-record.ts'
import type { Manifest } from './manifest.ts'

/**
 *     semantics = time of expiry u64 | count varint | keyspace*
 *     keyspace  = name text | flags u8 | operator name text, version varint (with OPERATOR) | TTL varint (with TTL)
 */
const OPERATOR = 1
const TTL = 2

export function encodeSemantics(writer: ByteWriter, { keyspaces, ttlNowMs }: Pick<Manifest, 'keyspaces' | 'ttlNowMs'>): void {
  writer.u64(ttlNowMs).varint(keyspaces.length)
  for (const { name, mergeOperator, ttlMs } of keyspaces) {
    const lasting = ttlMs === Number.POSITIVE_INFINITY
    writer.text(name).u8((mergeOperator === undefined ? 0 : OPERATOR) | (lasting ? 0 : TTL))
    if (mergeOperator !== undefined) writer.text(mergeOperator.name).varint(mergeOperator.version)
    if (!lasting) writer.varint(ttlMs)
  }
}

export function decodeSemantics(bytes: Uint8Array, name: string): Pick<Manifest, 'keyspaces' | 'ttlNowMs'> {
  const reader = new ByteReader(bytes, name)
  const ttlNowMs = reader.u64()
  const count = reader.count(2)
  const keyspaces = Array.from({ length: count }, (): KeyspaceRecord => {
    const keyspace = reader.text()
    const flags = reader.u8()
    const mergeOperator = (flags & OPERATOR) === 0 ? undefined : { name: reader.text(), version: reader.varint() }
    return { name: keyspace, mergeOperator, ttlMs: (flags & TTL) === 0 ? Number.POSITIVE_INFINITY : reader.varint() }
  })
  reader.expectEnd()
  return { keyspaces, ttlNowMs }
}
