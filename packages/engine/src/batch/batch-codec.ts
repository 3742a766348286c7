import { ByteReader, type ByteWriter, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { ENVELOPED, KIND_MASK } from './envelope.ts'

/**
 * The bytes of writes, shared by the write batch and the log:
 *
 *     operation = kind u8 | key length varint | key | (unless a delete) value length varint | value
 *     batch     = operation*
 *
 * Kinds are EntryKind (RocksDB's value types), all below 0x10. A put or a merge whose value begins with an envelope has
 * ENVELOPED beside its kind; the other high bits are reserved and must be zero. Keys are stored keys (key/keyspace.ts). A
 * range delete has the range's start for its key and the range's end, which is excluded, for its value. Operation i of a
 * log record has the record's first sequence number plus i.
 */
export function encodeOperation(
  writer: ByteWriter,
  kind: number,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number,
): void {
  writer.u8(kind)
  writer.varint(keyEnd - keyStart)
  writer.range(key, keyStart, keyEnd)
  if (kind === EntryKind.delete) return
  writer.varint(valueEnd - valueStart)
  writer.range(value, valueStart, valueEnd)
}

/** Receives one operation; ranges point into `bytes`, which the receiver copies from. */
export type OperationVisitor = (
  kind: number,
  bytes: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueStart: number,
  valueEnd: number,
) => void

/** Walks the operations of encoded batches; damaged bytes are CORRUPTION. Returns how many there were. */
export function visitOperations(bytes: Uint8Array, what: string, visit: OperationVisitor): number {
  const reader = new ByteReader(bytes, what)
  let count = 0
  while (reader.remaining > 0) {
    const kind = reader.u8()
    if (!isOperationKind(kind)) throw new MoraineError('CORRUPTION', `${what} holds an operation of unknown kind ${kind}`)
    const keyLength = reader.varint()
    const keyStart = reader.position
    reader.view(keyLength)
    let valueStart = 0
    let valueEnd = 0
    if (kind !== EntryKind.delete) {
      const valueLength = reader.varint()
      valueStart = reader.position
      reader.view(valueLength)
      valueEnd = reader.position
    }
    visit(kind, bytes, keyStart, keyStart + keyLength, valueStart, valueEnd)
    count++
  }
  return count
}

function isOperationKind(kind: number): boolean {
  const plain = kind & KIND_MASK
  if (kind !== plain) return kind === (plain | ENVELOPED) && (plain === EntryKind.put || plain === EntryKind.merge)
  return plain === EntryKind.put || plain === EntryKind.delete || plain === EntryKind.merge || plain === EntryKind.deleteRange
}
