import { compareBytes, equalBytes, isMoraineError, printableBytes } from '@moraine/base'
import type { DataBlock } from './block/data-block.ts'
import { EntryKind } from './entry-kind.ts'
import { filterHash } from './filter/key-filter.ts'
import { KEY_TRAILER_BYTES } from './format/internal-key.ts'
import { inTableOrder, type RangeTombstone } from './range-tombstone/range-tombstone.ts'
import type { SstMetadata } from './sst-metadata.ts'

/** The result of reading a table from end to end. */
export interface SstCheck {
  /** Whole sentences; empty when the table is sound. */
  readonly problems: readonly string[]
  readonly blockCount: number
  /** Range tombstones included. */
  readonly entryCount: number
}

/** What is checked: an opened table whose blocks can be read. */
export interface CheckableSst {
  readonly metadata: SstMetadata
  /** Data block i, verified and decoded. */
  readBlock(i: number): Promise<DataBlock>
}

/** RocksDB's kinds of deletion that stand in data blocks: a plain one, a single one, one with a timestamp. */
const DELETION_KINDS: ReadonlySet<number> = new Set([EntryKind.delete, 7, 0x14])

/** Problems are collected, so that one bad block does not hide another. Errors of the access itself are thrown. */
export async function checkSst(table: CheckableSst): Promise<SstCheck> {
  const problems: string[] = []
  const { blockCount } = table.metadata.index
  const tally = new Tally(table.metadata, problems)
  for (const tombstone of table.metadata.rangeTombstones) tally.addRangeTombstone(tombstone)
  for (let i = 0; i < blockCount; i++) {
    try {
      tally.addBlock(await table.readBlock(i))
    } catch (error) {
      if (!isMoraineError(error, 'CORRUPTION') && !isMoraineError(error, 'INVALID')) throw error
      problems.push(error.message)
    }
  }
  // With a block missing every count is off; saying so once is enough.
  if (problems.length === 0) tally.compare()
  return { problems, blockCount, entryCount: tally.entryCount }
}

class Tally {
  entryCount = 0
  readonly #metadata: SstMetadata
  readonly #problems: string[]
  #deletionCount = 0
  #mergeCount = 0
  #rawKeyBytes = 0
  #rawValueBytes = 0
  #smallestSeq = Number.MAX_SAFE_INTEGER
  #largestSeq = 0
  #firstKey: Uint8Array | undefined
  #lastKey: Uint8Array | undefined
  #smallestStart: Uint8Array | undefined
  #largestEnd: Uint8Array | undefined
  #filteredOut = 0

  constructor(metadata: SstMetadata, problems: string[]) {
    this.#metadata = metadata
    this.#problems = problems
  }

  addBlock(block: DataBlock): void {
    const { filter } = this.#metadata
    const { keyBytes, entryCount } = block
    this.entryCount += entryCount
    for (let i = 0; i < entryCount; i++) {
      const start = block.keyStart(i)
      const end = block.keyEnd(i)
      const kind = block.kind(i)
      const seq = block.seq(i)
      if (DELETION_KINDS.has(kind)) this.#deletionCount++
      else if (kind === EntryKind.merge) this.#mergeCount++
      this.#rawKeyBytes += end - start + KEY_TRAILER_BYTES
      this.#rawValueBytes += block.valueEnd(i) - block.valueStart(i)
      this.#smallestSeq = Math.min(this.#smallestSeq, seq)
      this.#largestSeq = Math.max(this.#largestSeq, seq)
      if (filter !== undefined && !filter.mayContain(filterHash(keyBytes, start, end))) this.#filteredOut++
    }
    this.#firstKey ??= keyBytes.slice(block.keyStart(0), block.keyEnd(0))
    this.#lastKey = keyBytes.slice(block.keyStart(entryCount - 1), block.keyEnd(entryCount - 1))
  }

  /** Range tombstones count among entries and deletions, though they stand in a block of their own. */
  addRangeTombstone({ start, end, seq }: RangeTombstone): void {
    this.entryCount++
    this.#deletionCount++
    this.#rawKeyBytes += start.length + KEY_TRAILER_BYTES
    this.#rawValueBytes += end.length
    this.#smallestSeq = Math.min(this.#smallestSeq, seq)
    this.#largestSeq = Math.max(this.#largestSeq, seq)
    if (this.#smallestStart === undefined || compareBytes(start, this.#smallestStart) < 0) this.#smallestStart = start
    if (this.#largestEnd === undefined || compareBytes(end, this.#largestEnd) > 0) this.#largestEnd = end
  }

  compare(): void {
    const { properties, index, rangeTombstones } = this.#metadata
    // RocksDB promises no order in its files for ingestion.
    if (properties.engineVersion !== undefined && !inTableOrder(rangeTombstones)) {
      this.#problems.push('the range tombstones are not in order')
    }
    this.#expect('range tombstones', rangeTombstones.length, properties.rangeDeletionCount)
    this.#expect('entries', this.entryCount, properties.entryCount)
    this.#expect('deletions', this.#deletionCount, properties.deletionCount)
    this.#expect('merge operands', this.#mergeCount, properties.mergeCount)
    this.#expect('data blocks', index.blockCount, properties.dataBlockCount)
    this.#expect('key bytes', this.#rawKeyBytes, properties.rawKeyBytes)
    this.#expect('value bytes', this.#rawValueBytes, properties.rawValueBytes)
    this.#expect('as smallest sequence number', this.#smallestSeq, properties.smallestSeq)
    this.#expect('as largest sequence number', this.#largestSeq, properties.largestSeq)
    const startsWithRange =
      this.#smallestStart !== undefined && (this.#firstKey === undefined || compareBytes(this.#smallestStart, this.#firstKey) < 0)
    const endsWithRange =
      this.#largestEnd !== undefined && (this.#lastKey === undefined || compareBytes(this.#largestEnd, this.#lastKey) > 0)
    this.#expectKey('first', startsWithRange ? this.#smallestStart : this.#firstKey, properties.smallestKey)
    this.#expectKey('last', endsWithRange ? this.#largestEnd : this.#lastKey, properties.largestKey)
    if (properties.largestKey !== undefined && endsWithRange !== properties.largestKeyExcluded) {
      const end = endsWithRange ? 'the end of a range tombstone' : 'a key of its own'
      this.#problems.push(`the last key of the table is ${end}, its properties say otherwise`)
    }
    if (this.#filteredOut > 0) this.#problems.push(`the filter denies ${this.#filteredOut} entries that are there`)
  }

  #expect(what: string, actual: number, stated: number | undefined): void {
    if (stated !== undefined && stated !== actual) {
      this.#problems.push(`the table has ${actual} ${what}, its properties say ${stated}`)
    }
  }

  #expectKey(which: string, actual: Uint8Array | undefined, stated: Uint8Array | undefined): void {
    if (stated === undefined || (actual !== undefined && equalBytes(actual, stated))) return
    const found = actual === undefined ? 'missing' : printableBytes(actual, 40)
    this.#problems.push(`the ${which} key is ${found}, the properties say ${printableBytes(stated, 40)}`)
  }
}
