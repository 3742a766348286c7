import { compareBytes, printableBytes } from '@moraine/base'
import { BlockBuilder } from '../block/block-builder.ts'
import { BlockCursor } from '../block/block-cursor.ts'
import { EntryKind } from '../entry-kind.ts'
import { corruption } from '../format/corruption.ts'
import { KEY_TRAILER_BYTES, readKeySeq, writeKeyTrailer } from '../format/internal-key.ts'
import { NO_RANGE_TOMBSTONES, type RangeTombstone } from './range-tombstone.ts'

/** RocksDB's metaindex name of the block of range tombstones. */
export const RANGE_TOMBSTONES_BLOCK_NAME = 'rocksdb.range_del'

/*
 * The block of range tombstones is a block like the others, never compressed, in which every entry is a restart point:
 *
 *   entry:  internal key (first user key that is deleted, sequence number, kind 0xF) -> end of the range, a user key
 *
 * Entries ascend by start; of one start the newest comes first. Ranges overlap as they were given.
 */
const RESTART_INTERVAL = 1

/** The block with its trailer. `tombstones` are in the order of a table. */
export function encodeRangeTombstones(tombstones: readonly RangeTombstone[]): Uint8Array {
  const builder = new BlockBuilder(RESTART_INTERVAL)
  for (const { start, end, seq } of tombstones) {
    const key = new Uint8Array(start.length + KEY_TRAILER_BYTES)
    key.set(start)
    writeKeyTrailer(key, start.length, seq, EntryKind.deleteRange)
    builder.add(key, end)
  }
  return builder.finish()
}

/**
 * The tombstones of an opened (verified) block, of any writer: RocksDB's files for ingestion have them in the order in
 * which they were added.
 */
export function decodeRangeTombstones(content: Uint8Array, name: string): readonly RangeTombstone[] {
  const tombstones: RangeTombstone[] = []
  const cursor = new BlockCursor(content, name, 'the block of range tombstones')
  while (cursor.next()) {
    const length = cursor.keyLength - KEY_TRAILER_BYTES
    const which = `range tombstone ${tombstones.length}`
    // A key that is stored whole cannot make more of a forged block than its bytes.
    if (cursor.shared !== 0) throw corruption(name, `${which} does not store its key whole`)
    if (length < 0) throw corruption(name, `the key of ${which} is shorter than its trailer`)
    const kind = cursor.key[length] as number
    if (kind !== EntryKind.deleteRange) throw corruption(name, `${which} has kind ${kind}`)
    const seq = readKeySeq(cursor.key, length)
    if (seq > Number.MAX_SAFE_INTEGER) throw corruption(name, `${which} has a sequence number above 2^53`)
    const start = cursor.key.slice(0, length)
    const end = cursor.reader.bytes(cursor.valueSize)
    if (compareBytes(start, end) >= 0) {
      throw corruption(name, `${which} ends at ${printableBytes(end, 40)}, not after its start ${printableBytes(start, 40)}`)
    }
    tombstones.push({ start, end, seq })
  }
  return tombstones.length === 0 ? NO_RANGE_TOMBSTONES : tombstones
}
