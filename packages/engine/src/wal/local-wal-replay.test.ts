/**
 * Invariant: replay gives exactly the acknowledged writes above the last flush, in order, or refuses with the file
 * and the byte. A cut tail of an epoch is an end; anything missing or changed before that is CORRUPTION.
 */
import { copyFile, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { concatBytes, isMoraineError, SeededRandom, systemClock } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LocalWalFolder } from './local-wal-folder.ts'
import type { LocalWalWriter } from './local-wal-writer.ts'
import { segmentName } from './wal-file-names.ts'
import { encodeSegmentHeader } from './wal-header.ts'
import { frameWalRecord } from './wal-record.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wal-replay-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const random = new SeededRandom(1)

function openFolder(path = folder): Promise<LocalWalFolder> {
  return LocalWalFolder.open(path, { databaseId: 'db', random, create: true })
}

async function startEpoch(epoch: number, firstSeq: number): Promise<LocalWalWriter> {
  const wal = await openFolder()
  await wal.fence(epoch)
  return wal.startWriter({ epoch, firstSeq, sync: 'never', syncIntervalMs: 100, clock: systemClock })
}

/** A group's payload spells its sequences, so that a replayed record proves itself. */
function payloadOf(firstSeq: number, count: number): Uint8Array {
  return Buffer.from(`${firstSeq}+${count};`.repeat(3))
}

async function append(writer: LocalWalWriter, firstSeq: number, count = 1): Promise<void> {
  await writer.append(firstSeq, count, [payloadOf(firstSeq, count)])
}

/** The sequences of all replayed records, after checking their payloads. */
async function replayed(flushedSeq: number, path = folder): Promise<number[]> {
  const wal = await LocalWalFolder.open(path, { databaseId: 'db', random, create: false })
  const sequences: number[] = []
  for await (const { firstSeq, count, payload } of wal.replay(flushedSeq)) {
    expect(Buffer.from(payload)).toEqual(payloadOf(firstSeq, count))
    for (let i = 0; i < count; i++) sequences.push(firstSeq + i)
  }
  return sequences
}

async function replayError(flushedSeq: number): Promise<Error & { code: string; detail: Record<string, unknown> }> {
  try {
    await replayed(flushedSeq)
  } catch (error) {
    if (isMoraineError(error)) return error
    throw error
  }
  return expect.unreachable('replay should have failed')
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

const pathOf = (epoch: number, number: number): string => join(folder, segmentName(epoch, number))

/** Writes a segment by hand, with [first sequence, count] groups that a writer would refuse. */
async function craft(
  epoch: number,
  number: number,
  firstSeq: number,
  groups: [number, number][],
  epochFirstSeq: number = firstSeq,
): Promise<void> {
  const { databaseId, walId } = await openFolder()
  const header = encodeSegmentHeader({ databaseId, walId, epoch, number, firstSeq, epochFirstSeq })
  const records = groups.flatMap(([first, count]) => frameWalRecord(first, count, [payloadOf(first, count)]))
  await writeFile(pathOf(epoch, number), concatBytes([header, ...records]))
}

/** Three segments: 1-3, 4-6, 7-9. */
async function threeSegments(epoch = 1): Promise<void> {
  const writer = await startEpoch(epoch, 1)
  for (let seq = 1; seq <= 9; seq++) {
    await append(writer, seq)
    if (seq % 3 === 0 && seq < 9) await writer.rotate()
  }
  await writer.close()
}

describe('local WAL replay', () => {
  test('gives what was appended, over segments and epochs, above the flushed sequence', async () => {
    await threeSegments()
    const writer = await startEpoch(2, 10)
    await append(writer, 10, 5)
    await writer.close()
    expect(await replayed(0)).toEqual(range(1, 14))
    for (let flushed = 1; flushed <= 10; flushed++) {
      const expected = flushed < 10 ? range(flushed + 1, 14) : range(10, 14)
      expect(await replayed(flushed)).toEqual(expected)
    }
    expect(await replayed(13)).toEqual(range(10, 14)) // straddles: given whole
    expect(await replayed(14)).toEqual([])
    expect(await replayed(100)).toEqual([])
  })

  test('pitfall 11: cut at every byte, the last segment gives a prefix of whole records', async () => {
    const writer = await startEpoch(1, 1)
    for (let seq = 1; seq <= 4; seq++) await append(writer, seq)
    await writer.close()
    const path = pathOf(1, 1)
    const whole = await readFile(path)
    let longest = 4
    for (let size = whole.length; size >= 0; size--) {
      await truncate(path, size)
      const found = await replayed(0)
      expect(found).toEqual(range(1, found.length))
      expect(longest - found.length).toBeOneOf([0, 1])
      longest = found.length
    }
    expect(longest).toBe(0)
  })

  test('pitfall 11: a file that was extended but not filled ends where the zeros begin', async () => {
    const writer = await startEpoch(1, 1)
    for (let seq = 1; seq <= 4; seq++) await append(writer, seq)
    await writer.close()
    const path = pathOf(1, 1)
    const whole = await readFile(path)
    for (const from of [0, 512, 520, 540, whole.length - 30, whole.length - 3, whole.length]) {
      await writeFile(path, Buffer.concat([whole.subarray(0, from), Buffer.alloc(whole.length - from + 4096)]))
      const found = await replayed(0)
      expect(found).toEqual(range(1, found.length))
    }
    // The last of them has lost nothing.
    expect(await replayed(0)).toEqual(range(1, 4))
  })

  test('pitfall 27: a changed byte anywhere in a log is CORRUPTION that names file and byte', async () => {
    await threeSegments()
    for (const number of [1, 3]) {
      const path = pathOf(1, number)
      const whole = await readFile(path)
      for (let at = 0; at < whole.length; at++) {
        if (at > 100 && at < 500 && at % 16 !== 0) continue // the header's padding: one checksum over all of it
        const damaged = Buffer.from(whole)
        damaged[at] = (damaged[at] as number) ^ (1 << at % 8)
        await writeFile(path, damaged)
        const error = await replayError(0)
        // The version is checked after the checksum, so no other code is possible.
        expect(error.code).toBe('CORRUPTION')
        expect(error.detail['file']).toBe(path)
        expect(error.message).toContain(path)
        expect(error.detail['offset']).toBeLessThanOrEqual(at)
      }
      await writeFile(path, whole)
    }
    expect(await replayed(0)).toEqual(range(1, 9))
  })

  test('pitfall 11: a missing segment in the middle is CORRUPTION, unless it is flushed', async () => {
    await threeSegments()
    await rm(pathOf(1, 2))
    const error = await replayError(0)
    expect(error.code).toBe('CORRUPTION')
    expect(error.message).toContain(segmentName(1, 1))
    expect(error.message).toContain(segmentName(1, 3))
    expect(await replayed(6)).toEqual([7, 8, 9])
  })

  test('pitfall 11: a missing first segment is CORRUPTION, unless it is flushed', async () => {
    await threeSegments()
    await rm(pathOf(1, 1))
    expect((await replayError(0)).message).toContain('writes 1 to 3 are missing')
    expect(await replayed(3)).toEqual(range(4, 9))
  })

  test('pitfall 11: a missing segment before one that was never filled is CORRUPTION', async () => {
    await threeSegments()
    await rm(pathOf(1, 2))
    await truncate(pathOf(1, 3), 100)
    expect((await replayError(0)).code).toBe('CORRUPTION')
  })

  test('pitfall 11: a segment cut in the middle of the log is CORRUPTION at every byte', async () => {
    await threeSegments()
    const path = pathOf(1, 2)
    const whole = await readFile(path)
    for (let size = whole.length - 1; size >= 0; size -= 7) {
      await truncate(path, size)
      expect((await replayError(0)).code).toBe('CORRUPTION')
    }
    expect(await replayed(6)).toEqual([7, 8, 9])
  })

  test('a torn tail ends its epoch, and the next epoch continues there', async () => {
    const first = await startEpoch(1, 1)
    for (let seq = 1; seq <= 4; seq++) await append(first, seq)
    await first.close()
    const { length } = await readFile(pathOf(1, 1))
    await truncate(pathOf(1, 1), length - 5)
    expect(await replayed(0)).toEqual([1, 2, 3])
    const second = await startEpoch(2, 4)
    await append(second, 4, 2)
    await second.close()
    expect(await replayed(0)).toEqual(range(1, 5))
    // The same cut, had epoch 2 started after all four, has lost a write.
    await rm(pathOf(2, 1))
    const third = await startEpoch(3, 5)
    await third.close()
    expect((await replayError(0)).message).toContain('writes 4 to 4 are missing')
    expect(await replayed(4)).toEqual([])
  })

  test('a tail that was lost but flushed is no gap', async () => {
    const first = await startEpoch(1, 1)
    for (let seq = 1; seq <= 4; seq++) await append(first, seq)
    await first.close()
    await truncate(pathOf(1, 1), 600)
    const second = await startEpoch(2, 8) // writes up to 7 had been flushed from memory
    await append(second, 8)
    await second.close()
    expect(await replayed(7)).toEqual([8])
  })

  test('what a deposed writer left behind the takeover is not history', async () => {
    const old = await startEpoch(1, 1)
    await append(old, 1, 3)
    const young = await startEpoch(2, 4)
    await append(young, 4, 2)
    await young.rotate()
    await append(young, 6, 2)
    // The deposed writer appends a larger group at the same sequences: on disk, but never acknowledged.
    await expect(append(old, 4, 9)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await replayed(0)).toEqual(range(1, 7))
    // The start of the takeover is known even after the first segment of the new epoch was released.
    await young.release(5)
    expect(await readdir(folder)).not.toContain(segmentName(2, 1))
    expect(await replayed(5)).toEqual([6, 7])
    expect(await replayed(8)).toEqual([])
    await young.close()
    await old.close()
  })

  test('neither a segment of a deposed writer nor its records in the hole of a lost one are history', async () => {
    const old = await startEpoch(1, 1)
    await append(old, 1, 3)
    const young = await startEpoch(2, 4)
    await append(young, 4, 2)
    await young.rotate()
    await append(young, 6)
    await expect(append(old, 4, 2)).rejects.toMatchObject({ code: 'FENCED' })
    await craft(1, 2, 6, [[6, 1]], 1)
    expect(await replayed(0)).toEqual(range(1, 6))
    // The rejected writes 4 and 5 would fit into the hole exactly, and must not.
    await rm(pathOf(2, 1))
    const error = await replayError(0)
    expect(error.message).toContain('writes 4 to 5 are missing')
    await old.close()
    await young.close()
  })

  test('records out of order, or over a takeover, are CORRUPTION even with good checksums', async () => {
    await openFolder()
    await craft(1, 1, 1, [[1, 2], [4, 1]])
    expect(await replayError(0)).toMatchObject({ code: 'CORRUPTION', detail: { file: pathOf(1, 1) } })
    await craft(1, 1, 1, [[1, 2], [2, 1]])
    expect((await replayError(0)).message).toContain('stand twice')
    await craft(1, 1, 1, [[1, 2], [3, 5]])
    await craft(2, 1, 5, [[5, 1]])
    expect(await replayError(0)).toMatchObject({ code: 'CORRUPTION', detail: { file: pathOf(1, 1) } })
    expect(await replayed(4)).toEqual([5])
  })

  test('pitfall 27: segments of another log, or under another name, are refused', async () => {
    await threeSegments()
    const other = await mkdtemp(join(tmpdir(), 'wal-other-'))
    const foreign = await openFolder(other)
    await foreign.fence(1)
    const writer = await foreign.startWriter({
      epoch: 1, firstSeq: 1, sync: 'never', syncIntervalMs: 1, clock: systemClock,
    })
    await append(writer, 1)
    await writer.close()
    await rename(pathOf(1, 2), join(folder, 'kept'))
    await copyFile(join(other, segmentName(1, 1)), pathOf(1, 2))
    expect((await replayError(0)).message).toContain(foreign.walId)
    await rename(join(folder, 'kept'), pathOf(1, 2))
    await copyFile(pathOf(1, 1), pathOf(1, 4))
    expect(await replayError(0)).toMatchObject({ code: 'CORRUPTION', detail: { file: pathOf(1, 4) } })
    await rm(other, { recursive: true })
  })

  test('survey counts the writes above the flush, and up to damage', async () => {
    await threeSegments()
    const wal = await openFolder()
    expect(await wal.survey(2)).toMatchObject({ segments: 3, writes: 7, firstSeq: 3, lastSeq: 9 })
    expect(await wal.survey(9)).toMatchObject({ segments: 3, writes: 0 })
    const bytes = await readFile(pathOf(1, 2))
    bytes[540] = (bytes[540] as number) ^ 1
    await writeFile(pathOf(1, 2), bytes)
    const survey = await wal.survey(0)
    expect(survey).toMatchObject({ segments: 3, writes: 3, lastSeq: 3 })
    expect(survey.damage).toContain(segmentName(1, 2))
  })

  test('dropEpochsBelow deletes older epochs and nothing else', async () => {
    await threeSegments()
    const writer = await startEpoch(2, 10)
    await append(writer, 10)
    await writeFile(join(folder, 'notes.txt'), 'mine')
    await writeFile(join(folder, '1-1.wal.bak'), 'mine')
    await (await openFolder()).dropEpochsBelow(2)
    expect((await readdir(folder)).toSorted()).toEqual(
      ['000000000002.owner', '1-1.wal.bak', 'notes.txt', segmentName(2, 1), 'wal.header'].toSorted(),
    )
    await append(writer, 11)
    expect(await replayed(9)).toEqual([10, 11])
    await writer.close()
  })
})
