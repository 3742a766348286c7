import { corruption } from '../format/corruption.ts'

/*
 * A block:  entries | restart offsets (u32 each) | [hash buckets (u8 each) | bucket count (u16)] | restart count (u32)
 *
 * The hash part is present when the highest bit of the count is set (RocksDB's data_block_index_type = hash). It only
 * speeds up lookups inside the encoded block, which is not how blocks are searched here, so it is skipped.
 */
const HASH_INDEX_BIT = 0x8000_0000

/** Where the entries of a block end. */
export function blockEntriesEnd(content: Uint8Array, name: string, what: string): number {
  let end = content.length - 4
  if (end >= 0) {
    const packed =
      ((content[end] as number) |
        ((content[end + 1] as number) << 8) |
        ((content[end + 2] as number) << 16) |
        ((content[end + 3] as number) << 24)) >>>
      0
    let restarts = packed
    if (packed >= HASH_INDEX_BIT) {
      restarts = packed - HASH_INDEX_BIT
      end -= 2
      if (end >= 0) end -= (content[end] as number) | ((content[end + 1] as number) << 8)
    }
    end -= restarts * 4
  }
  if (end < 0) throw corruption(name, `${what} is too short for its restart points`)
  return end
}
