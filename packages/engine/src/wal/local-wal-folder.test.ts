/**
 * Invariant: a log folder belongs to one database under one id for ever, whatever step its creation died at, and of
 * several epochs only the newest acknowledges; a replay after a takeover sees all that was acknowledged before it.
 */
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Deferred, isMoraineError, SeededRandom, systemClock, systemRandom } from '@moraine/base'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LocalWalFolder } from './local-wal-folder.ts'
import type { LocalWalWriter } from './local-wal-writer.ts'
import { ownerMarkName, segmentName } from './wal-file-names.ts'

let parent: string
let folder: string
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'wal-folder-'))
  folder = join(parent, 'state', 'db')
})
afterEach(() => rm(parent, { recursive: true, force: true }))

function openWal(path = folder, databaseId = 'db-a', create = true): Promise<LocalWalFolder> {
  return LocalWalFolder.open(path, { databaseId, random: systemRandom, create })
}

async function startEpoch(epoch: number, firstSeq: number, wal?: LocalWalFolder): Promise<LocalWalWriter> {
  const opened = wal ?? (await openWal())
  await opened.fence(epoch)
  return opened.startWriter({ epoch, firstSeq, sync: 'interval', syncIntervalMs: 50, clock: systemClock })
}

async function lastSeq(wal: LocalWalFolder, flushedSeq = 0): Promise<number> {
  let last = flushedSeq
  for await (const { firstSeq, count } of wal.replay(flushedSeq)) last = firstSeq + count - 1
  return last
}

const PAYLOAD = [Buffer.from('payload')]

async function failure(promise: Promise<unknown>): Promise<Error & { code: string }> {
  const error: unknown = await promise.then(
    () => expect.unreachable('should have failed'),
    (reason: unknown) => reason,
  )
  if (isMoraineError(error)) return error
  throw error
}

describe('local WAL folder: identity', () => {
  test('keeps its id over reopens, and is not made by a reader', async () => {
    expect((await failure(openWal(folder, 'db-a', false))).code).toBe('INVALID')
    expect(existsSync(folder)).toBe(false)
    const { walId } = await openWal()
    expect(walId).toMatch(/^[0-9a-f]{32}$/)
    expect((await openWal()).walId).toBe(walId)
    expect((await openWal(folder, 'db-a', false)).walId).toBe(walId)
    expect(await LocalWalFolder.identify(folder)).toEqual({ databaseId: 'db-a', walId })
    expect((await readdir(folder)).toSorted()).toEqual(['wal.header'])
  })

  test('two openings of a new folder at once agree on the id', async () => {
    for (let round = 0; round < 10; round++) {
      const path = join(parent, `round-${round}`)
      const opened = await Promise.all(Array.from({ length: 6 }, () => openWal(path)))
      const ids = new Set(opened.map(({ walId }) => walId))
      expect(ids.size).toBe(1)
      expect(await LocalWalFolder.identify(path)).toMatchObject({ walId: [...ids][0] })
    }
  })

  test("pitfall 27: another database's folder is refused and left untouched", async () => {
    await openWal()
    const writer = await startEpoch(1, 1)
    await writer.append(1, 1, PAYLOAD)
    await writer.close()
    const before = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))
    const error = await failure(openWal(folder, 'db-b'))
    expect(error.code).toBe('INVALID')
    expect(error.message).toContain('db-a')
    expect(error.message).toContain('db-b')
    const after = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))
    expect(after).toEqual(before)
  })

  test('pitfall 27: swapped folders are refused', async () => {
    const a = join(parent, 'a')
    const b = join(parent, 'b')
    await openWal(a, 'db-a')
    await openWal(b, 'db-b')
    await rename(a, join(parent, 'x'))
    await rename(b, a)
    await rename(join(parent, 'x'), b)
    for (const [path, id] of [[a, 'db-a'], [b, 'db-b']] as const) {
      expect((await failure(openWal(path, id))).code).toBe('INVALID')
    }
  })

  test('pitfall 27: a damaged or cut header is CORRUPTION at every byte', async () => {
    await openWal()
    const path = join(folder, 'wal.header')
    const whole = await readFile(path)
    for (let at = 0; at < whole.length; at++) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] as number) ^ (1 << at % 8)
      await writeFile(path, damaged)
      expect((await failure(openWal())).code).toBe('CORRUPTION')
    }
    for (const size of [0, 1, 100, 511]) {
      await writeFile(path, whole.subarray(0, size))
      expect((await failure(openWal())).code).toBe('CORRUPTION')
    }
    await writeFile(path, Buffer.concat([whole, Buffer.of(0)]))
    expect((await failure(openWal())).code).toBe('CORRUPTION')
  })

  test('segments without a header are not given a new identity', async () => {
    await (await startEpoch(1, 1)).close()
    await rm(join(folder, 'wal.header'))
    expect((await failure(openWal())).code).toBe('CORRUPTION')
    expect(await readdir(folder)).toContain(segmentName(1, 1))
  })

  test('pitfall 33: creation that died at any step is completed by the next open', async () => {
    const leftovers: (() => Promise<unknown>)[] = [
      () => mkdir(join(parent, 'state')),
      () => mkdir(folder, { recursive: true }),
      () => writeFile(join(folder, 'wal.header.00ff.tmp'), ''),
      () => writeFile(join(folder, 'wal.header.00ff.tmp'), 'MRNW'),
    ]
    for (let steps = 0; steps <= leftovers.length; steps++) {
      await rm(join(parent, 'state'), { recursive: true, force: true })
      for (const step of leftovers.slice(0, steps)) await step()
      const { walId } = await openWal()
      expect((await openWal()).walId).toBe(walId)
      expect(await readdir(folder)).toEqual(['wal.header'])
    }
    // Died between giving the header its name and dropping the temporary one.
    const whole = await readFile(join(folder, 'wal.header'))
    await writeFile(join(folder, 'wal.header.00ff.tmp'), whole)
    await openWal()
    expect(await readdir(folder)).toEqual(['wal.header'])
  })

  test('pitfall 33: dying between any steps of a takeover keeps every write', async () => {
    const writer = await startEpoch(1, 1)
    await writer.append(1, 3, PAYLOAD)
    // No close: the process died. Each next epoch dies one step later.
    await openWal()
    const afterFence = await openWal()
    await afterFence.fence(2)
    const afterReplay = await openWal()
    await afterReplay.fence(3)
    expect(await lastSeq(afterReplay)).toBe(3)
    const afterStart = await openWal()
    const idle = await startEpoch(4, 4, afterStart)
    await writeFile(join(folder, segmentName(5, 1)), '') // died while making its segment
    const last = await openWal()
    await last.fence(6)
    expect(await lastSeq(last)).toBe(3)
    const final = await startEpoch(6, 4, last)
    await final.append(4, 2, PAYLOAD)
    expect(await lastSeq(await openWal())).toBe(5)
    for (const open of [final, idle, writer]) await open.close()
  })

  test('what cannot be written is UNAVAILABLE, a file in place of the folder too', async () => {
    await writeFile(join(parent, 'file'), '')
    expect((await failure(openWal(join(parent, 'file')))).code).toBe('UNAVAILABLE')
    if (process.getuid?.() === 0) return // permissions do not bind root
    await chmod(parent, 0o500)
    const error = await failure(openWal())
    await chmod(parent, 0o700)
    expect(error.code).toBe('UNAVAILABLE')
    expect(error.message).toContain('permissions')
  })

  test('setAside moves the log whole, fences its writer, and never overwrites an earlier one', async () => {
    const writer = await startEpoch(1, 1)
    await writer.append(1, 2, PAYLOAD)
    const wal = await openWal()
    await mkdir(`${folder}.aside-${wal.walId.slice(0, 8)}`)
    const moved = await wal.setAside()
    expect(moved).toBe(`${folder}.aside-${wal.walId.slice(0, 8)}-2`)
    expect((await failure(writer.append(3, 1, PAYLOAD))).code).toBe('FENCED')
    const aside = await openWal(moved, 'db-a', false)
    expect(aside.walId).toBe(wal.walId)
    expect(await aside.survey(0)).toMatchObject({ firstSeq: 1 })
    const fresh = await openWal()
    expect(fresh.walId).not.toBe(wal.walId)
    expect(await lastSeq(fresh)).toBe(0)
    await writer.close()
  })
})

describe('local WAL folder: ownership', () => {
  test('after a takeover the older writer is FENCED, and replay sees all it had acknowledged', async () => {
    const old = await startEpoch(1, 1)
    let acknowledged = 0
    const busy = new Deferred<void>()
    const stream = (async (): Promise<never> => {
      for (;;) {
        await old.append(acknowledged + 1, 1, PAYLOAD)
        if (++acknowledged === 100) busy.resolve()
      }
    })()
    const ended = failure(stream)
    await busy.promise
    const wal = await openWal()
    await wal.fence(2)
    const seen = await lastSeq(wal)
    const young = await wal.startWriter({
      epoch: 2, firstSeq: seen + 1, sync: 'never', syncIntervalMs: 1, clock: systemClock,
    })
    await young.append(seen + 1, 10, PAYLOAD)
    expect((await ended).code).toBe('FENCED')
    expect(acknowledged).toBeLessThanOrEqual(seen)
    expect((await failure(old.append(acknowledged + 1, 1, PAYLOAD))).code).toBe('FENCED')
    await old.close()
    await young.close()
    expect(await lastSeq(wal)).toBe(seen + 10)
  })

  test('a writer that slept until its whole epoch was dropped is still FENCED', async () => {
    const old = await startEpoch(1, 1)
    await old.append(1, 1, PAYLOAD)
    for (let epoch = 2; epoch <= 4; epoch++) {
      const wal = await openWal()
      const young = await startEpoch(epoch, 2, wal)
      await wal.dropEpochsBelow(epoch)
      await young.close()
    }
    expect((await failure(old.append(2, 1, PAYLOAD))).code).toBe('FENCED')
    expect((await failure(old.rotate().then(() => old.append(2, 1, PAYLOAD)))).code).toBe('FENCED')
    await old.close()
    expect((await readdir(folder)).filter((name) => name.endsWith('.owner'))).toEqual([ownerMarkName(4)])
  })

  test('an opening that slept between its steps cannot take the folder back', async () => {
    const slow = await openWal()
    await slow.fence(5)
    const late = await openWal()
    const young = await startEpoch(6, 1)
    await young.append(1, 1, PAYLOAD)
    expect((await failure(late.fence(5))).code).toBe('FENCED')
    const options = { epoch: 5, firstSeq: 1, sync: 'never', syncIntervalMs: 1, clock: systemClock } as const
    expect((await failure(slow.startWriter(options))).code).toBe('FENCED')
    expect((await readdir(folder)).toSorted()).toEqual([segmentName(6, 1), ownerMarkName(6), 'wal.header'].toSorted())
    await young.append(2, 1, PAYLOAD)
    await young.close()
  })

  test('of many takeovers at once the highest wins and no lower one acknowledges', async () => {
    const random = new SeededRandom(11)
    for (let round = 0; round < 10; round++) {
      const path = join(parent, `round-${round}`)
      await openWal(path)
      const epochs = [1, 2, 3, 4].toSorted(() => random.next() - 0.5)
      const writers = await Promise.allSettled(
        epochs.map(async (epoch) => {
          const wal = await openWal(path)
          await wal.fence(epoch)
          return wal.startWriter({ epoch, firstSeq: 1, sync: 'never', syncIntervalMs: 1, clock: systemClock })
        }),
      )
      for (const [i, result] of writers.entries()) {
        const code = result.status === 'rejected' ? (result.reason as { code?: string }).code : undefined
        if (epochs[i] === 4) expect(result.status).toBe('fulfilled')
        if (result.status === 'rejected') {
          expect(code).toBe('FENCED')
          continue
        }
        const appended = result.value.append(1, 1, PAYLOAD)
        if (epochs[i] === 4) await appended
        else expect((await failure(appended)).code).toBe('FENCED')
        await result.value.close()
      }
    }
  })

  test('no second writer for one epoch', async () => {
    const wal = await openWal()
    const writer = await startEpoch(1, 1, wal)
    const options = { epoch: 1, firstSeq: 1, sync: 'never', syncIntervalMs: 1, clock: systemClock } as const
    expect((await failure(wal.startWriter(options))).code).toBe('INTERNAL')
    await writer.append(1, 1, PAYLOAD)
    await writer.close()
  })
})
