import { FOOTER_BYTES, type SstReader } from '@moraine/sstable'
import type { TableObject } from '../source/table-object.ts'
import { withReader } from '../source/with-reader.ts'
import { BLOCK_TRAILER_BYTES, checksumName } from './format-names.ts'
import { type Finding, findingOf, withoutTableName } from './finding.ts'

export interface TableProblem extends Finding {
  /** Byte of the file at which the damaged part starts; undefined when the problem is one of the whole table. */
  readonly offset: number | undefined
}

export interface TableVerdict {
  readonly problems: readonly TableProblem[]
  readonly blockCount: number
  readonly entryCount: number
}

const CRC32C = 1
const MORAINE_FORMAT_VERSION = 5

/**
 * Reads a table from end to end. Whatever its bytes are, the result says what is wrong with them; only a file that
 * cannot be read at all throws. `onRead` hears of every read in bytes, for progress.
 */
export async function checkTable(table: TableObject, onRead?: (bytes: number) => void): Promise<TableVerdict> {
  try {
    return await withReader(table, verdictOf, onRead)
  } catch (error) {
    const finding = findingOf(error, table.name)
    if (finding === undefined) throw error
    return { problems: [{ offset: undefined, ...finding }], blockCount: 0, entryCount: 0 }
  }
}

async function verdictOf(reader: SstReader): Promise<TableVerdict> {
  const { problems, blockCount, entryCount } = await reader.check()
  // Its sentences do not say where. Only a table that is damaged is read again to find out.
  const inBlocks = problems.length === 0 ? [] : await blockProblems(reader)
  const ofWhole = inBlocks.length > 0 ? [] : problems.map((problem) => damaged(undefined, withoutTableName(problem, reader.name)))
  return {
    problems: [...inBlocks, ...ofWhole, ...(await metaBlockProblems(reader)), ...ownRuleProblems(reader)],
    blockCount,
    entryCount,
  }
}

async function blockProblems(reader: SstReader): Promise<TableProblem[]> {
  const found: TableProblem[] = []
  for (let i = 0; i < reader.blockCount; i++) {
    const finding = await findingIn(() => reader.readBlock(i), reader.name)
    if (finding !== undefined) found.push({ offset: reader.metadata.index.blockOffset(i), ...finding })
  }
  return found
}

/** The blocks that opening a table does not look at: what we do not know. */
async function metaBlockProblems(reader: SstReader): Promise<TableProblem[]> {
  const found: TableProblem[] = []
  for (const [name, { offset }] of reader.metaBlocks) {
    const finding = await findingIn(() => reader.readMetaBlock(name), reader.name)
    if (finding !== undefined) found.push({ offset, ...finding })
  }
  return found
}

async function findingIn(read: () => Promise<unknown>, name: string): Promise<Finding | undefined> {
  try {
    await read()
    return undefined
  } catch (error) {
    const finding = findingOf(error, name)
    if (finding === undefined) throw error
    return finding
  }
}

/**
 * What holds for every table that Moraine writes, and lets no flipped bit of one pass: its blocks fill the file without
 * a gap, and its footer names the one checksum that is written. RocksDB may align its blocks and choose.
 */
function ownRuleProblems(reader: SstReader): TableProblem[] {
  if (reader.metadata.properties.engineVersion === undefined) return []
  const { checksumType, formatVersion, index: indexBlock, metaindex } = reader.footer
  const footerOffset = reader.sizeBytes - FOOTER_BYTES
  if (checksumType !== CRC32C || formatVersion !== MORAINE_FORMAT_VERSION) {
    const said = `format version ${formatVersion} and checksum ${checksumName(checksumType)}`
    return [damaged(footerOffset, `its footer says ${said}, which Moraine does not write`)]
  }
  const { index } = reader.metadata
  const blocks = Array.from({ length: reader.blockCount }, (_, i) => ({ offset: index.blockOffset(i), bytes: index.blockLength(i) }))
  for (const { offset, size } of [...reader.metaBlocks.values(), indexBlock, metaindex]) {
    blocks.push({ offset, bytes: size + BLOCK_TRAILER_BYTES })
  }
  blocks.sort((a, b) => a.offset - b.offset)
  let end = 0
  for (const { offset, bytes } of [...blocks, { offset: footerOffset, bytes: FOOTER_BYTES }]) {
    if (offset > end) return [damaged(end, `the bytes from ${end} to ${offset - 1} belong to no block`)]
    if (offset < end) return [damaged(offset, `two blocks stand in the same place, at ${offset}`)]
    end = offset + bytes
  }
  return []
}

function damaged(offset: number | undefined, problem: string): TableProblem {
  return { offset, verdict: 'damaged', problem }
}
