/**
 * Invariant: an append that resolved is in the log, on disk at the level that was asked for; one that rejected is
 * followed by no other. The writer never acknowledges after another epoch took the folder over.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, Deferred, isMoraineError, SeededRandom, systemClock, type Timer } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LocalWalFolder } from './local-wal-folder.ts'
import { type LocalWalSync, LocalWalWriter } from './local-wal-writer.ts'
import { createSegmentFile, type SegmentFile } from './segment-file.ts'
import { segmentName } from './wal-file-names.ts'

/** A clock whose timers fire when told. */
class HandClock implements Clock {
  readonly timers: { delayMs: number; fire: () => void; unref: boolean }[] = []
  nowMs(): number {
    return 0
  }
  monotonicMs(): number {
    return 0
  }
  setTimer(delayMs: number, fire: () => void, options?: { unref?: boolean }): Timer {
    const timer = { delayMs, fire, unref: options?.unref === true }
    this.timers.push(timer)
    return { cancel: () => void (this.timers.includes(timer) && this.timers.splice(this.timers.indexOf(timer), 1)) }
  }
  yieldNow(): Promise<void> {
    return systemClock.yieldNow()
  }
  fireNext(): void {
    this.timers.shift()?.fire()
  }
}

/** A segment file on a disk that takes only so many bytes, or does not sync. */
class FaultyDisk {
  freeBytes = Number.POSITIVE_INFINITY
  syncFails = false
  truncateFails = false
  syncs = 0

  readonly create = async (path: string): Promise<SegmentFile> => {
    const file = await createSegmentFile(path)
    return {
      write: async (pieces, position) => {
        const bytes = Buffer.concat(pieces)
        const fits = bytes.subarray(0, Math.min(bytes.length, this.freeBytes))
        this.freeBytes -= fits.length
        await file.write([fits], position)
        if (fits.length < bytes.length) throw errno('ENOSPC', 'no space left on device, write')
      },
      sync: async () => {
        if (this.syncFails) throw errno('EIO', 'i/o error, fdatasync')
        this.syncs++
        await file.sync()
      },
      truncate: async (size) => {
        if (this.truncateFails) throw errno('EIO', 'i/o error, ftruncate')
        await file.truncate(size)
      },
      close: () => file.close(),
    }
  }
}

function errno(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}

let folder: string
let wal: LocalWalFolder
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wal-writer-'))
  wal = await LocalWalFolder.open(folder, { databaseId: 'db', random: new SeededRandom(1), create: true })
  await wal.fence(1)
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const BYTES = Buffer.from('a group of writes')

function start(sync: LocalWalSync, clock: Clock = systemClock, disk = new FaultyDisk()): Promise<LocalWalWriter> {
  const identity = { databaseId: 'db', walId: wal.walId }
  return LocalWalWriter.start(folder, identity, { epoch: 1, firstSeq: 1, sync, syncIntervalMs: 250, clock }, disk.create)
}

async function replayed(flushedSeq = 0): Promise<number[]> {
  const sequences: number[] = []
  for await (const { firstSeq } of wal.replay(flushedSeq)) sequences.push(firstSeq)
  return sequences
}

async function failure(promise: Promise<unknown>): Promise<Error & { code: string }> {
  const error: unknown = await promise.then(
    () => expect.unreachable('should have failed'),
    (reason: unknown) => reason,
  )
  if (isMoraineError(error)) return error
  throw error
}

describe('local WAL writer', () => {
  test('appends that are not awaited queue, and every size of group round-trips', async () => {
    const writer = await start('never')
    const groups = [1, 100, 65_536, 300_000, 3_000_000].map((size) => Buffer.alloc(size, size % 251))
    await Promise.all(groups.map((group, i) => writer.append(i + 1, 1, [group.subarray(0, 1), group.subarray(1)])))
    await writer.close()
    const found: Uint8Array[] = []
    for await (const { payload } of wal.replay(0)) found.push(payload)
    expect(found.map((payload, i) => Buffer.compare(payload, groups[i] as Buffer))).toEqual([0, 0, 0, 0, 0])
  })

  test('a long run of awaited appends lets the event loop turn', async () => {
    // Through the folder, with the real file: only that one writes on the spot.
    const options = { epoch: 1, firstSeq: 1, sync: 'never', syncIntervalMs: 1, clock: systemClock } as const
    const writer = await wal.startWriter(options)
    let turned = false
    setImmediate(() => (turned = true))
    for (let seq = 1; seq <= 200; seq++) await writer.append(seq, 1, [BYTES])
    expect(turned).toBe(true)
    await writer.close()
  })

  test('a sequence that does not continue the log is refused and not written', async () => {
    const writer = await start('never')
    await writer.append(1, 3, [BYTES])
    for (const seq of [3, 5]) expect((await failure(writer.append(seq, 1, [BYTES]))).code).toBe('INTERNAL')
    await writer.append(4, 1, [BYTES])
    await writer.close()
    expect(await replayed()).toEqual([1, 4])
  })

  test('always: resolves after the sync of its own bytes', async () => {
    const disk = new FaultyDisk()
    const writer = await start('always', systemClock, disk)
    const before = disk.syncs
    for (let seq = 1; seq <= 3; seq++) {
      await writer.append(seq, 1, [BYTES])
      expect(disk.syncs).toBe(before + seq)
    }
    await writer.close()
    expect(disk.syncs).toBe(before + 3) // nothing left to sync
  })

  test('interval: one timer while something is unsynced, none when idle', async () => {
    const clock = new HandClock()
    const disk = new FaultyDisk()
    const writer = await start('interval', clock, disk)
    const before = disk.syncs
    expect(clock.timers).toHaveLength(0)
    for (let seq = 1; seq <= 5; seq++) await writer.append(seq, 1, [BYTES])
    expect(clock.timers).toMatchObject([{ delayMs: 250, unref: true }])
    expect(disk.syncs).toBe(before)
    clock.fireNext()
    await expect.poll(() => writer.stats().syncs).toBe(1)
    expect(disk.syncs).toBe(before + 1)
    await systemClock.yieldNow()
    expect(clock.timers).toHaveLength(0)
    await writer.append(6, 1, [BYTES])
    expect(clock.timers).toHaveLength(1)
    await writer.sync() // by hand; the timer then finds nothing to do
    clock.fireNext()
    await systemClock.yieldNow()
    expect(writer.stats().syncs).toBe(2)
    expect(clock.timers).toHaveLength(0)
    await writer.append(7, 1, [BYTES])
    await writer.close()
    expect(clock.timers).toHaveLength(0)
    expect(writer.stats().syncs).toBe(3)
  })

  test('interval: what is appended while a sync runs is synced by the next timer', async () => {
    const clock = new HandClock()
    const disk = new FaultyDisk()
    const gates: Deferred<void>[] = []
    const slow = async (path: string): Promise<SegmentFile> => {
      const file = await disk.create(path)
      return {
        ...file,
        sync: async () => {
          await gates[0]?.promise
          await file.sync()
        },
      }
    }
    const identity = { databaseId: 'db', walId: wal.walId }
    const options = { epoch: 1, firstSeq: 1, sync: 'interval' as const, syncIntervalMs: 250, clock }
    const writer = await LocalWalWriter.start(folder, identity, options, slow)
    const gate = new Deferred<void>()
    gates.push(gate)
    await writer.append(1, 1, [BYTES])
    clock.fireNext()
    await writer.append(2, 1, [BYTES])
    expect(clock.timers).toHaveLength(0)
    gate.resolve()
    await expect.poll(() => clock.timers.length).toBe(1)
    expect(writer.stats().syncs).toBe(1)
    await writer.close()
  })

  test('never: no timer, and close does not sync', async () => {
    const clock = new HandClock()
    const disk = new FaultyDisk()
    const writer = await start('never', clock, disk)
    const before = disk.syncs
    await writer.append(1, 1, [BYTES])
    await writer.close()
    expect(clock.timers).toHaveLength(0)
    expect(disk.syncs).toBe(before)
  })

  test('rotate syncs the old segment first; release deletes what is flushed, oldest first', async () => {
    const disk = new FaultyDisk()
    const writer = await start('never', systemClock, disk)
    await writer.rotate() // empty: nothing to rotate
    expect(writer.stats().segments).toBe(1)
    const before = disk.syncs
    for (let seq = 1; seq <= 6; seq += 2) {
      await writer.append(seq, 2, [BYTES])
      await writer.rotate()
    }
    expect(disk.syncs).toBe(before + 6) // each old segment, and each new header
    expect(writer.stats().segments).toBe(4)
    await writer.release(1)
    expect(writer.stats().segments).toBe(4)
    await writer.release(5)
    expect(writer.stats().segments).toBe(2)
    expect(existsSync(join(folder, segmentName(1, 2)))).toBe(false)
    expect(await replayed(5)).toEqual([5])
    await writer.release(6)
    await writer.append(7, 1, [BYTES])
    await writer.release(7) // the open segment stays
    expect(writer.stats().segments).toBe(1)
    expect(writer.stats().sizeBytes).toBe((await stat(join(folder, segmentName(1, 4)))).size)
    await writer.close()
    expect(await replayed(6)).toEqual([7])
  })

  test('a long segment is split by itself', async () => {
    const writer = await start('never')
    const big = Buffer.alloc(33 * 1024 * 1024, 1)
    for (let seq = 1; seq <= 3; seq++) await writer.append(seq, 1, [big])
    expect(writer.stats().segments).toBe(2)
    await writer.close()
    expect(await replayed()).toEqual([1, 2, 3])
  })

  test('pitfall 27: a full disk is UNAVAILABLE, the log keeps what was acknowledged, the writer stays broken', async () => {
    const whole = new FaultyDisk()
    const measuring = await start('never', systemClock, whole)
    await measuring.append(1, 1, [BYTES])
    await measuring.close()
    const size = measuring.stats().appendedBytes
    await rm(join(folder, segmentName(1, 1)))
    for (const truncateFails of [false, true]) {
      for (let room = size; room < 2 * size; room += 5) {
        const disk = new FaultyDisk()
        const writer = await start('never', systemClock, disk)
        disk.freeBytes = room
        disk.truncateFails = truncateFails
        await writer.append(1, 1, [BYTES])
        const error = await failure(writer.append(2, 1, [BYTES]))
        expect(error).toMatchObject({ code: 'UNAVAILABLE', detail: { errno: 'ENOSPC' } })
        expect(error.message).toContain('The disk is full')
        disk.freeBytes = Number.POSITIVE_INFINITY
        expect(await failure(writer.append(2, 1, [BYTES]))).toBe(error)
        expect(await failure(writer.rotate())).toBe(error)
        await writer.close()
        expect(await replayed()).toEqual([1])
        const bytes = await readFile(join(folder, segmentName(1, 1)))
        if (!truncateFails) expect(bytes.length).toBe(512 + size)
        await rm(join(folder, segmentName(1, 1)))
      }
    }
  })

  test('pitfall 27: no room for a new segment leaves no half of one', async () => {
    const disk = new FaultyDisk()
    const writer = await start('never', systemClock, disk)
    await writer.append(1, 1, [BYTES])
    disk.freeBytes = 100
    expect((await failure(writer.rotate())).code).toBe('UNAVAILABLE')
    expect((await readdir(folder)).filter((name) => name.endsWith('.wal'))).toEqual([segmentName(1, 1)])
    expect((await failure(writer.append(2, 1, [BYTES]))).code).toBe('UNAVAILABLE')
    await writer.close()
    expect(await replayed()).toEqual([1])
  })

  test('a failed sync breaks the writer for good, also one that the timer made', async () => {
    const clock = new HandClock()
    const disk = new FaultyDisk()
    const writer = await start('interval', clock, disk)
    await writer.append(1, 1, [BYTES])
    disk.syncFails = true
    clock.fireNext()
    await systemClock.yieldNow()
    disk.syncFails = false
    const error = await failure(writer.append(2, 1, [BYTES]))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', detail: { errno: 'EIO' } })
    expect(await failure(writer.sync())).toBe(error)
    expect(clock.timers).toHaveLength(0)
    await writer.close()
  })

  test('always: a failed sync rejects the append', async () => {
    const disk = new FaultyDisk()
    const writer = await start('always', systemClock, disk)
    disk.syncFails = true
    expect((await failure(writer.append(1, 1, [BYTES]))).code).toBe('UNAVAILABLE')
    await writer.close()
  })

  test('close lets queued appends finish, later calls are CLOSED', async () => {
    const writer = await start('never')
    const appends = [1, 2, 3].map((seq) => writer.append(seq, 1, [BYTES]))
    const closed = writer.close()
    expect((await failure(writer.append(4, 1, [BYTES]))).code).toBe('CLOSED')
    await Promise.all([...appends, closed, writer.close()])
    expect((await failure(writer.rotate())).code).toBe('CLOSED')
    expect(await replayed()).toEqual([1, 2, 3])
  })
})
