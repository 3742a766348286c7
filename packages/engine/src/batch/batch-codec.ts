import { ByteReader, type ByteWriter, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'

/**
 * The bytes of writes, shared by the write batch and the log:
 *
 *     operation = kind u8 | key length varint | key | (put only) value length varint | value
 *     batch     = operation*
 *
 * Kinds are EntryKind (RocksDB's value types), all below 0x10; the high bits of the kind byte are reserved for flags
 * and must be zero. Operation i of a log record has the record's first sequence number plus i.
 */
export function encodePut(
  writer: ByteWriter,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  value: Uint8Array,
  valueStart: number,
  valueEnd: number,
): void {
  writer.u8(EntryKind.put)
  writer.varint(keyEnd - keyStart)
  writer.range(key, keyStart, keyEnd)
  writer.varint(valueEnd - valueStart)
  writer.range(value, valueStart, valueEnd)
}

export function encodeDelete(writer: ByteWriter, key: Uint8Array, keyStart: number, keyEnd: number): void {
  writer.u8(EntryKind.delete)
  writer.varint(keyEnd - keyStart)
  writer.range(key, keyStart, keyEnd)
}

/** Receives one operation; ranges point into `bytes`, which the receiver copies from. */
export type OperationVisitor = (
  kind: EntryKind,
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
    const keyLength = reader.varint()
    const keyStart = reader.position
    reader.view(keyLength)
    let valueStart = 0
    let valueEnd = 0
    if (kind === EntryKind.put) {
      const valueLength = reader.varint()
      valueStart = reader.position
      reader.view(valueLength)
      valueEnd = reader.position
    } else if (kind !== EntryKind.delete) {
      throw new MoraineError('CORRUPTION', `${what} holds an operation of unknown kind ${kind}`)
    }
    visit(kind, bytes, keyStart, keyStart + keyLength, valueStart, valueEnd)
    count++
  }
  return count
}
