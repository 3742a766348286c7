import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MoraineError } from '@moraine/base'
import { diskError, errnoOf } from './disk-error.ts'
import { type SegmentName, segmentsAmong } from './wal-file-names.ts'
import { decodeSegmentHeader, WAL_HEADER_BYTES, type WalIdentity, type WalSegmentHeader } from './wal-header.ts'
import { readWalRecord, type WalRecord } from './wal-record.ts'

/** One segment file of a folder. */
export interface LocalWalSegment extends SegmentName {
  readonly path: string
  readonly sizeBytes: number
  /** Absent when the file ends before its header does: a crash came while it was made, and it holds no record. */
  readonly header: WalSegmentHeader | undefined
}

const READ_CHUNK_BYTES = 1 << 30

/** The segments of a folder in log order, each with its header read and checked against the folder and its name. */
export async function listSegments(folder: string, identity: WalIdentity): Promise<LocalWalSegment[]> {
  const segments: LocalWalSegment[] = []
  for (const named of segmentsAmong(await namesIn(folder))) {
    const path = join(folder, named.name)
    const start = await readFileStart(path, WAL_HEADER_BYTES)
    // Released by its writer since the folder was listed. If it was needed after all, the gap will be seen.
    if (start === undefined) continue
    const { bytes, sizeBytes } = start
    const empty = bytes.length < WAL_HEADER_BYTES || bytes.every((byte) => byte === 0)
    const header = empty ? undefined : decodeSegmentHeader(bytes, path)
    if (header !== undefined) checkBelongs(header, named, identity, path)
    segments.push({ ...named, path, sizeBytes, header })
  }
  return segments
}

/** The sequence number in front of the oldest write that segments can hold: those flushed before it are gone. */
export function startOfLog(segments: readonly LocalWalSegment[]): number {
  const firsts = segments.flatMap(({ header }) => (header === undefined ? [] : [header.firstSeq]))
  return firsts.length === 0 ? 0 : Math.min(...firsts) - 1
}

/** The names in a folder; UNAVAILABLE when it cannot be listed. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    throw diskError(error, `listing ${folder}`)
  }
}

/**
 * The records above `flushedSeq`, in order and without gaps; the first one may start at or below it. Which bytes
 * count as history is decided here:
 * - What an epoch appended from the sequence on at which a later epoch took over was never acknowledged: ignored.
 * - A record that was never completed ends the log of its epoch. Nothing is lost by that only if the next segment
 *   continues exactly where this one ends, and that is required of all segments.
 * - Segments that are flushed whole are not read, so damage there does no harm.
 */
export async function* replaySegments(
  all: readonly LocalWalSegment[],
  flushedSeq: number,
): AsyncGenerator<WalRecord, void, undefined> {
  const segments = withoutDeposed(all)
  let from = 0
  for (const [i, segment] of segments.entries()) {
    if (segment.header !== undefined && segment.header.firstSeq <= flushedSeq + 1) from = i
  }
  let next = flushedSeq + 1
  let previous: LocalWalSegment | undefined
  for (const segment of segments.slice(from)) {
    if (previous !== undefined && previous.epoch === segment.epoch && previous.number + 1 !== segment.number) {
      const message = `a segment is missing between ${previous.path} and ${segment.name}`
      throw damage(message, segment.path, 0)
    }
    const { header } = segment
    if (header !== undefined) {
      const bytes = await readWholeFile(segment.path, segment.sizeBytes)
      // Its former owner deleted it as flushed after it was listed. If it was needed after all, the gap will be seen.
      if (bytes === undefined) continue
      const continues = previous === undefined ? header.firstSeq <= next : header.firstSeq === next
      if (!continues) throw brokenOrder(next, header.firstSeq, previous, segment.path, 0)
      next = header.firstSeq
      const end = takeoverAfter(segment.epoch, all)
      for (const { record, offset } of recordsOf(segment.path, bytes)) {
        if (record.firstSeq >= end) break
        if (record.firstSeq !== next) throw brokenOrder(next, record.firstSeq, segment, segment.path, offset)
        next = record.firstSeq + record.count
        if (next > end) throw brokenOrder(end, next, segment, segment.path, offset)
        if (next > flushedSeq + 1) yield record
      }
    }
    previous = segment
  }
}

/** The sequence at which the epochs after `epoch` took the log over; infinite for the last one. */
function takeoverAfter(epoch: number, segments: readonly LocalWalSegment[]): number {
  let sequence = Number.POSITIVE_INFINITY
  for (const { header } of segments) {
    if (header !== undefined && header.epoch > epoch) sequence = Math.min(sequence, header.epochFirstSeq)
  }
  return sequence
}

/** Drops the segments that a writer started after a later epoch had taken over. */
function withoutDeposed(segments: readonly LocalWalSegment[]): LocalWalSegment[] {
  return segments.filter(({ header, epoch }) => header === undefined || header.firstSeq < takeoverAfter(epoch, segments))
}

function* recordsOf(path: string, bytes: Uint8Array): Generator<{ record: WalRecord; offset: number }> {
  let offset = WAL_HEADER_BYTES
  for (;;) {
    const step = readWalRecord(bytes, offset)
    if (step.kind === 'end' || step.kind === 'torn') return
    if (step.kind === 'damaged') throw damage(step.reason, path, offset)
    yield { record: step.record, offset }
    offset = step.end
  }
}

function checkBelongs(header: WalSegmentHeader, named: SegmentName, identity: WalIdentity, path: string): void {
  if (header.databaseId !== identity.databaseId || header.walId !== identity.walId) {
    const message =
      `the segment belongs to log ${header.walId} of database ${header.databaseId}, ` +
      `the folder is log ${identity.walId} of database ${identity.databaseId}`
    throw damage(message, path, 0)
  }
  if (header.epoch !== named.epoch || header.number !== named.number) {
    throw damage(`the file is segment ${header.number} of epoch ${header.epoch} by its header`, path, 0)
  }
}

function brokenOrder(
  expected: number,
  found: number,
  previous: LocalWalSegment | undefined,
  path: string,
  offset: number,
): MoraineError {
  const after = previous === undefined ? 'what is flushed' : previous.path
  const what = found > expected ? `writes ${expected} to ${found - 1} are missing` : `writes from ${found} on stand twice`
  return damage(`${what} between ${after} and here`, path, offset)
}

function damage(reason: string, file: string, offset: number): MoraineError {
  const message =
    `the local write-ahead log ${file} is damaged at byte ${offset}: ${reason}. Nothing was replayed past it; ` +
    'restore the file, or move the log aside and open at the last flush'
  return new MoraineError('CORRUPTION', message, { detail: { file, offset } })
}

async function readFileStart(
  path: string,
  wanted: number,
): Promise<{ bytes: Uint8Array; sizeBytes: number } | undefined> {
  try {
    await using file = await open(path, 'r')
    const sizeBytes = (await file.stat()).size
    return { bytes: await readFully(file, Math.min(wanted, sizeBytes)), sizeBytes }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw diskError(error, `reading ${path}`)
  }
}

/** What the file held when it was listed; a deposed writer may be appending to it still. */
async function readWholeFile(path: string, sizeBytes: number): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, 'r')
    return await readFully(file, sizeBytes)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw diskError(error, `reading ${path}`)
  }
}

async function readFully(file: Awaited<ReturnType<typeof open>>, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let at = 0
  while (at < size) {
    const { bytesRead } = await file.read(bytes, at, Math.min(size - at, READ_CHUNK_BYTES), at)
    if (bytesRead === 0) return bytes.subarray(0, at)
    at += bytesRead
  }
  return bytes
}
