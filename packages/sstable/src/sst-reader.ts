import { compareRanges } from '@moraine/base'
import type { DataBlock } from './block/data-block.ts'
import { decodeAnyBlock } from './block/decode-block.ts'
import type { BlockHandle } from './format/block-handle.ts'
import { BLOCK_TRAILER_BYTES, openBlock } from './format/block-trailer.ts'
import { corruption } from './format/corruption.ts'
import { FOOTER_BYTES, type Footer } from './format/footer.ts'
import { MAX_BLOCK_BYTES } from './format/limits.ts'
import type { RandomAccess } from './random-access.ts'
import { checkSst, type SstCheck } from './sst-check.ts'
import type { SstMetadata } from './sst-metadata.ts'
import { type OpenedSst, openSst, readExactly } from './sst-open.ts'

/** An entry with arrays of its own. `kind` may be one that Moraine does not write. */
export interface SstEntry {
  readonly key: Uint8Array
  readonly seq: number
  readonly kind: number
  readonly value: Uint8Array
}

export interface SstRange {
  /** First user key, included. */
  readonly from?: Uint8Array
  /** End of the range, excluded. */
  readonly to?: Uint8Array
  /** From the last entry to the first. */
  readonly reverse?: boolean
}

/**
 * Reads whole tables, Moraine's or RocksDB's, for tools: simple rather than fast, one read a block. The engine opens
 * its own tables with `parseSstTail` and caches blocks.
 */
export class SstReader {
  readonly name: string
  readonly sizeBytes: number
  readonly footer: Footer
  readonly metadata: SstMetadata
  /** Blocks that are neither data nor index, by their metaindex name. */
  readonly metaBlocks: ReadonlyMap<string, BlockHandle>
  /** Where the last data block ends. */
  readonly dataEnd: number
  readonly #access: RandomAccess

  /**
   * Finds the footer at the end of the file and reads everything but the data blocks. CORRUPTION: damaged. INVALID: a
   * feature that is not read here (a checksum, a compression, a comparator, a format version); the message names it.
   */
  static async open(access: RandomAccess, name: string): Promise<SstReader> {
    return new SstReader(access, name, await openSst(access, name))
  }

  private constructor(access: RandomAccess, name: string, opened: OpenedSst) {
    this.#access = access
    this.name = name
    this.sizeBytes = access.sizeBytes
    this.footer = opened.footer
    this.metadata = opened.metadata
    this.metaBlocks = opened.metaBlocks
    this.dataEnd = opened.dataEnd
  }

  get blockCount(): number {
    return this.metadata.index.blockCount
  }

  /** Data block i as stored: compressed or not, with its trailer. */
  readStoredBlock(i: number): Promise<Uint8Array> {
    const { index } = this.metadata
    return readExactly(this.#access, this.name, index.blockOffset(i), index.blockLength(i))
  }

  /** Data block i, verified and decoded. */
  async readBlock(i: number): Promise<DataBlock> {
    return decodeAnyBlock(await this.readStoredBlock(i), this.metadata, i, this.name)
  }

  /** A block of `metaBlocks` as stored, with its trailer; undefined when the table has none of that name. */
  async readStoredMetaBlock(blockName: string): Promise<Uint8Array | undefined> {
    const handle = this.metaBlocks.get(blockName)
    if (handle === undefined) return undefined
    const length = handle.size + BLOCK_TRAILER_BYTES
    if (handle.size > MAX_BLOCK_BYTES || handle.offset + length > this.sizeBytes - FOOTER_BYTES) {
      throw corruption(this.name, `block ${blockName} lies outside of the file`)
    }
    return readExactly(this.#access, this.name, handle.offset, length)
  }

  /** Its verified, uncompressed contents. */
  async readMetaBlock(blockName: string): Promise<Uint8Array | undefined> {
    const bytes = await this.readStoredMetaBlock(blockName)
    if (bytes === undefined) return undefined
    return openBlock(bytes, 0, bytes.length, this.footer.checksumType, this.name, `block ${blockName}`)
  }

  /**
   * Entries of the range in internal order, or in the reverse of it. Every block is verified as it is read. Range
   * tombstones are not among them: `metadata` has them.
   */
  async *entries(range: SstRange = {}): AsyncGenerator<SstEntry, void, undefined> {
    const { from, to } = range
    const { index } = this.metadata
    const max = Number.MAX_SAFE_INTEGER
    const firstBlock = from === undefined ? 0 : index.findBlock(from, 0, from.length, max)
    const lastBlock = to === undefined ? this.blockCount - 1 : Math.min(index.findBlock(to, 0, to.length, max), this.blockCount - 1)
    const count = lastBlock - firstBlock + 1
    for (let n = 0; n < count; n++) {
      const block = await this.readBlock(range.reverse === true ? lastBlock - n : firstBlock + n)
      const start = from === undefined ? 0 : block.find(from, 0, from.length, max)
      const end = to === undefined ? block.entryCount : block.find(to, 0, to.length, max)
      if (range.reverse === true) for (let i = end - 1; i >= start; i--) yield entryAt(block, i)
      else for (let i = start; i < end; i++) yield entryAt(block, i)
    }
  }

  /** The versions of one key, newest first. */
  async versions(key: Uint8Array): Promise<SstEntry[]> {
    const found: SstEntry[] = []
    for await (const entry of this.entries({ from: key })) {
      if (compareRanges(entry.key, 0, entry.key.length, key, 0, key.length) !== 0) break
      found.push(entry)
    }
    return found
  }

  /** Reads every block and compares what is there with what the table says of itself. */
  check(): Promise<SstCheck> {
    return checkSst(this)
  }
}

function entryAt(block: DataBlock, i: number): SstEntry {
  return {
    key: block.keyBytes.slice(block.keyStart(i), block.keyEnd(i)),
    seq: block.seq(i),
    kind: block.kind(i),
    // A value may lie in a Buffer of the decompressor, whose slice would not copy.
    value: new Uint8Array(block.valueBytes.subarray(block.valueStart(i), block.valueEnd(i))),
  }
}
