import { type Db, WriteBatch } from 'moraine'
import { bytes } from './latin1.ts'
import type { ModelOperation, PointOperation } from './model-operation.ts'

/** Writes operations as one batch. */
export function writeAsBatch(db: Db, operations: readonly ModelOperation[]): Promise<void> {
  const batch = new WriteBatch()
  for (const operation of operations) {
    const keyspace = operation.keyspace === undefined || operation.keyspace === '' ? {} : { keyspace: operation.keyspace }
    if (operation.kind === 'deleteRange') batch.deleteRange(rangeBytes(operation), keyspace)
    else if (operation.kind === 'delete') batch.delete(bytes(operation.key), keyspace)
    else batch[operation.kind](bytes(operation.key), bytes(operation.value ?? ''), { ...keyspace, ...ttlOf(operation) })
  }
  return db.write(batch)
}

/** Writes one operation by a call of its own; the keyspace must have been declared with all that the operation needs. */
export function writeOne(db: Db, operation: ModelOperation): Promise<void> {
  const { keyspace } = operation
  const target = keyspace === undefined || keyspace === '' ? db : db.keyspace(keyspace)
  if (operation.kind === 'deleteRange') return target.deleteRange(rangeBytes(operation))
  const key = bytes(operation.key)
  if (operation.kind === 'delete') return target.delete(key)
  return target[operation.kind](key, bytes(operation.value ?? ''), ttlOf(operation))
}

/** Deletes no key at all, and so writes nothing. */
export function isEmptyOperation(operation: ModelOperation): boolean {
  return operation.kind === 'deleteRange' && operation.lt === (operation.gte ?? '')
}

export function rangeBytes({ gte, lt }: { readonly gte?: string; readonly lt?: string }): { gte?: Uint8Array; lt?: Uint8Array } {
  return { ...(gte !== undefined && { gte: bytes(gte) }), ...(lt !== undefined && { lt: bytes(lt) }) }
}

function ttlOf({ ttlMs }: PointOperation): { ttlMs?: number } {
  return ttlMs === undefined ? {} : { ttlMs }
}
