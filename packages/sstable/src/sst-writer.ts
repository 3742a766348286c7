import { compareBytes, crc32c, maskCrc32c, MoraineError, printableBytes } from '@moraine/base'
import { DataBlockBuilder } from './block/data-block-builder.ts'
import { ChunkedOutput } from './chunked-output.ts'
import { CompressionType } from './compression/compression-type.ts'
import { compressLz4Block } from './compression/lz4-block.ts'
import { compressZstdBlock } from './compression/zstd-block.ts'
import { EntryKind } from './entry-kind.ts'
import { HashCollector } from './filter/hash-collector.ts'
import { filterHash } from './filter/key-filter.ts'
import { BLOCK_TRAILER_BYTES, writeBlockTrailer } from './format/block-trailer.ts'
import { KEY_TRAILER_BYTES } from './format/internal-key.ts'
import { MAX_ENTRY_BYTES } from './format/limits.ts'
import { IndexBuilder } from './index/index-builder.ts'
import { RangeTombstoneCollector } from './range-tombstone/range-tombstone-collector.ts'
import type { SstSummary } from './sst-summary.ts'
import { encodeSstTail, type SstContents } from './sst-tail-writer.ts'
import type { SstWriterSettings } from './sst-writer-settings.ts'

/** Blocks above this are stored raw: compressing them would stop everything else for too long. */
const MAX_COMPRESSED_BLOCK_BYTES = 64 * 1024 * 1024

/** Larger values go from the caller's array to the output without passing through the block buffer. */
const STREAMED_VALUE_BYTES = MAX_COMPRESSED_BLOCK_BYTES

/**
 * Writes one table: entries come in internal order (user key ascending, then sequence number descending), range
 * tombstones in any order and at any time. Chunks of the file go out as they fill. Nothing of an argument is kept.
 */
export class SstWriter {
  readonly #settings: SstWriterSettings
  readonly #output: ChunkedOutput
  readonly #block: DataBlockBuilder
  readonly #index: IndexBuilder
  readonly #hashes: HashCollector | undefined
  readonly #blockSizeBytes: number
  readonly #tombstones = new RangeTombstoneCollector()
  #compressed = new Uint8Array(64 * 1024)
  #lastKey = new Uint8Array(256)
  #lastKeyLength = 0
  #lastSeq = 0
  #smallestKey = new Uint8Array(0)
  #smallestSeq = Number.MAX_SAFE_INTEGER
  #largestSeq = 0
  #entryCount = 0
  #deletionCount = 0
  #mergeCount = 0
  #rawKeyBytes = 0
  #rawValueBytes = 0
  #finished = false

  /** @param emit receives the file's bytes in order; each chunk becomes the receiver's own. */
  constructor(settings: SstWriterSettings, emit: (chunk: Uint8Array) => void) {
    this.#settings = settings
    this.#output = new ChunkedOutput(emit)
    this.#block = new DataBlockBuilder(settings.restartInterval)
    this.#index = new IndexBuilder()
    this.#hashes = settings.filterBitsPerKey > 0 ? new HashCollector() : undefined
    this.#blockSizeBytes = settings.blockSizeBytes
  }

  /** Entries and range tombstones added so far. */
  get entryCount(): number {
    return this.#entryCount + this.#tombstones.count
  }

  /** Size of the file if it were finished now; compression of the open block is not foreseen. */
  get estimatedSizeBytes(): number {
    const filter = (this.#hashes?.count ?? 0) * (this.#settings.filterBitsPerKey / 8)
    const tail = this.#index.sizeBytes + Math.ceil(filter) + this.#tombstones.sizeBytes + TAIL_ESTIMATE_BYTES
    return this.#output.length + this.#block.length + tail
  }

  /**
   * Appends an entry: strictly after the one before in internal order, else INTERNAL. `kind` is put, delete or merge.
   */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    seq: number,
    kind: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    const lastKey = this.#lastKey
    const lastLength = this.#lastKeyLength
    const limit = keyLength < lastLength ? keyLength : lastLength
    let shared = 0
    while (shared < limit && lastKey[shared] === key[keyStart + shared]) shared++

    const repeated = shared === keyLength && shared === lastLength && this.#entryCount > 0
    const ordered = repeated
      ? seq < this.#lastSeq
      : this.#entryCount === 0 ||
        (shared === limit ? keyLength > lastLength : (lastKey[shared] as number) < (key[keyStart + shared] as number))
    const storable = seq >= 0 && seq <= Number.MAX_SAFE_INTEGER && kind <= EntryKind.merge
    if (!ordered || !storable || keyLength + valueLength > MAX_ENTRY_BYTES || this.#finished) {
      throw this.#refusal(key.subarray(keyStart, keyEnd), seq, kind, ordered)
    }
    this.#expectSeqOfFile(seq)

    const block = this.#block
    if (block.entryCount > 0 && block.sizeBytes + keyLength - shared + valueLength + ENTRY_ESTIMATE > this.#blockSizeBytes) {
      this.#finishBlock()
    }
    if (block.entryCount === 0 && this.#entryCount > 0) {
      this.#index.addSeparator(lastKey, lastLength, this.#lastSeq, key, keyStart, keyEnd)
    }
    block.appendKey(shared, key, keyStart, keyEnd, seq, kind, valueLength)
    if (valueLength > STREAMED_VALUE_BYTES) this.#streamBlock(value, valueStart, valueEnd)
    else block.appendValue(value, valueStart, valueEnd)

    if (!repeated) {
      this.#rememberKey(shared, key, keyStart, keyEnd)
      if (this.#hashes !== undefined) this.#hashes.add(filterHash(key, keyStart, keyEnd))
      if (this.#entryCount === 0) this.#smallestKey = key.slice(keyStart, keyEnd)
    }
    this.#lastSeq = seq
    if (seq < this.#smallestSeq) this.#smallestSeq = seq
    if (seq > this.#largestSeq) this.#largestSeq = seq
    this.#entryCount++
    if (kind === EntryKind.delete) this.#deletionCount++
    else if (kind === EntryKind.merge) this.#mergeCount++
    this.#rawKeyBytes += keyLength + KEY_TRAILER_BYTES
    this.#rawValueBytes += valueLength
  }

  /**
   * Deletes every version with a smaller sequence number of a key in [start, end), in this table and in older ones. In
   * any order, before or after entries of the range; ranges may overlap. INTERNAL: start is not below end.
   */
  addRangeTombstone(start: Uint8Array, end: Uint8Array, seq: number): void {
    if (this.#finished) throw new MoraineError('INTERNAL', 'a range tombstone comes after the table was finished')
    this.#expectSeqOfFile(seq)
    this.#tombstones.add(start, end, seq)
  }

  /**
   * Writes what is left and the metadata. At least one entry or range tombstone must have been added. `properties` join
   * the user properties of the settings, for what is known only now.
   */
  finish(properties?: Readonly<Record<string, string>>): SstSummary {
    if (this.#finished || this.entryCount === 0) {
      throw new MoraineError('INTERNAL', this.#finished ? 'a table is finished twice' : 'a table needs at least one entry')
    }
    this.#finished = true
    if (this.#block.entryCount > 0) this.#finishBlock()
    if (this.#entryCount > 0) this.#index.addLast(this.#lastKey, this.#lastKeyLength, this.#lastSeq)
    const contents = this.#contents()
    const tailOffset = this.#output.length
    const { filterBitsPerKey, userProperties } = this.#settings
    const settings = { ...this.#settings, userProperties: { ...userProperties, ...properties } }
    const tail = encodeSstTail(settings, contents, tailOffset, {
      // Range tombstones cover keys that no filter knows, so that it is built of the entries alone.
      filter: this.#entryCount === 0 ? undefined : this.#hashes?.buildFilter(filterBitsPerKey),
      rangeTombstones: this.#tombstones.buildBlock(),
      index: this.#index.finish(),
    })
    this.#output.write(tail, 0, tail.length)
    this.#output.finish()
    const { mergeCount: _, ...known } = contents
    return { sizeBytes: this.#output.length, tailOffset, tailCrc32c: crc32c(tail), ...known }
  }

  /** What the table holds, entries and range tombstones together. */
  #contents(): SstContents {
    const tombstones = this.#tombstones
    const { smallestStart, largestEnd } = tombstones
    const lastKey = this.#entryCount === 0 ? undefined : this.#lastKey.slice(0, this.#lastKeyLength)
    const firstKey = lastKey === undefined ? undefined : this.#smallestKey
    const largestKeyExcluded = largestEnd !== undefined && (lastKey === undefined || compareBytes(largestEnd, lastKey) > 0)
    const smallestIsStart = smallestStart !== undefined && (firstKey === undefined || compareBytes(smallestStart, firstKey) < 0)
    return {
      entryCount: this.entryCount,
      deletionCount: this.#deletionCount + tombstones.count,
      mergeCount: this.#mergeCount,
      rangeTombstoneCount: tombstones.count,
      smallestKey: (smallestIsStart ? smallestStart : firstKey) as Uint8Array,
      largestKey: (largestKeyExcluded ? largestEnd : lastKey) as Uint8Array,
      largestKeyExcluded,
      smallestSeq: Math.min(this.#smallestSeq, tombstones.smallestSeq),
      largestSeq: Math.max(this.#largestSeq, tombstones.largestSeq),
      rawKeyBytes: this.#rawKeyBytes + tombstones.rawKeyBytes,
      rawValueBytes: this.#rawValueBytes + tombstones.rawValueBytes,
      dataBlockCount: this.#index.blockCount,
    }
  }

  #expectSeqOfFile(seq: number): void {
    if (this.#settings.externalFile !== true || seq === 0) return
    throw new MoraineError('INTERNAL', `an external table takes sequence number 0 only, not ${seq}`)
  }

  #finishBlock(): void {
    const block = this.#block
    block.finish()
    const rawLength = block.length
    const offset = this.#output.length
    let bytes: Uint8Array = block.buffer
    let length = rawLength
    let compressionType: number = CompressionType.none
    const { compression } = this.#settings
    if (compression !== 'none' && rawLength <= MAX_COMPRESSED_BLOCK_BYTES) {
      const room = rawLength + BLOCK_TRAILER_BYTES
      if (this.#compressed.length < room) this.#compressed = new Uint8Array(room * 2)
      const compress = compression === 'lz4' ? compressLz4Block : compressZstdBlock
      const compressedLength = compress(block.buffer, rawLength, this.#compressed)
      if (compressedLength > 0) {
        bytes = this.#compressed
        length = compressedLength
        compressionType = CompressionType[compression]
      }
    }
    writeBlockTrailer(bytes, 0, length, compressionType)
    this.#output.write(bytes, 0, length + BLOCK_TRAILER_BYTES)
    this.#index.setHandle(offset, length)
    block.clear()
  }

  /** Closes the open block, whose last entry lacks its huge value, without copying that value. */
  #streamBlock(value: Uint8Array, valueStart: number, valueEnd: number): void {
    const block = this.#block
    const output = this.#output
    const offset = output.length
    let crc = crc32c(block.buffer, 0, block.length)
    output.write(block.buffer, 0, block.length)
    crc = crc32c(value, valueStart, valueEnd, crc)
    output.write(value, valueStart, valueEnd)
    block.takeBytes()
    block.finish()
    const length = output.length + block.length - offset
    block.buffer[block.length] = CompressionType.none
    crc = crc32c(block.buffer, 0, block.length + 1, crc)
    block.buffer.writeUInt32LE(maskCrc32c(crc), block.length + 1)
    output.write(block.buffer, 0, block.length + BLOCK_TRAILER_BYTES)
    this.#index.setHandle(offset, length)
    block.clear()
  }

  #rememberKey(shared: number, key: Uint8Array, keyStart: number, keyEnd: number): void {
    const length = keyEnd - keyStart
    if (this.#lastKey.length < length) {
      const grown = new Uint8Array(length * 2)
      grown.set(this.#lastKey.subarray(0, shared))
      this.#lastKey = grown
    }
    const lastKey = this.#lastKey
    for (let i = shared; i < length; i++) lastKey[i] = key[keyStart + i] as number
    this.#lastKeyLength = length
  }

  #refusal(key: Uint8Array, seq: number, kind: number, ordered: boolean): MoraineError {
    const entry = `entry ${printableBytes(key, 40)} @ ${seq}, kind ${kind},`
    if (this.#finished) return new MoraineError('INTERNAL', `${entry} comes after the table was finished`)
    if (ordered) return new MoraineError('INTERNAL', `${entry} cannot stand in a table`)
    const last = printableBytes(this.#lastKey.subarray(0, this.#lastKeyLength), 40)
    return new MoraineError('INTERNAL', `${entry} does not come after ${last} @ ${this.#lastSeq} in internal order`)
  }
}

/** Varints and key trailer of an entry, roughly. */
const ENTRY_ESTIMATE = KEY_TRAILER_BYTES + 4

/** Properties, metaindex and footer, roughly. */
const TAIL_ESTIMATE_BYTES = 1024
