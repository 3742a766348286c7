// Invariant: bad input gives one clear MoraineError that says what to do, before anything is written anywhere.
import { MemoryObjectStore } from '@moraine/object-store'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Db, open, WriteBatch } from 'moraine'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { contents, outcomeOf, QUIET } from './subject.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'moraine-input-'))
  // Wherever a log would go by default, it would be seen.
  vi.stubEnv('XDG_STATE_HOME', join(folder, 'state'))
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true, force: true })
})

describe('locations', () => {
  test('URLs that name no store are INVALID and say what one looks like', async () => {
    const urls = ['', 'db', '/data/db', 'gs://bucket/db', 'http://bucket', 's3://', 's3:///prefix', 'memory://', 's3://bucket?region', 's3://b?what=1']
    for (const url of urls) {
      await expect(open(url), url).rejects.toMatchObject({ code: 'INVALID', message: expect.stringMatching(/s3:\/\/|parameter/) as string })
    }
    for (const nothing of [undefined, null, 7, {}, { store: {} }, { prefix: 'x' }]) {
      expect(await outcomeOf(open(nothing as never))).toBe('INVALID')
    }
    const store = new MemoryObjectStore()
    for (const prefix of ['/a', 'a/', 'a//b', '../a', 'a/./b', 'x'.repeat(2000), 'tab\t']) {
      expect(await outcomeOf(open({ store, prefix }, QUIET)), prefix).toBe('INVALID')
    }
    expect((await store.list('')).objects).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })

  test('a folder that cannot be made is UNAVAILABLE and leaves nothing', async () => {
    writeFileSync(join(folder, 'file'), 'in the way')
    const location = pathToFileURL(join(folder, 'file', 'db')).href
    await expect(open(location, QUIET)).rejects.toMatchObject({ message: expect.stringContaining('file') as string })
    expect(['UNAVAILABLE', 'INVALID']).toContain(await outcomeOf(open(location)))
    expect(readdirSync(folder)).toEqual(['file'])
  })

  test('a folder that holds something else is INVALID and stays as it is', async () => {
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    await expect(open(pathToFileURL(folder).href)).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('notes.txt') as string,
    })
    expect(readdirSync(folder)).toEqual(['notes.txt'])
  })

  test('a folder that would have to be made stays unmade when the options are wrong', async () => {
    const location = pathToFileURL(join(folder, 'new')).href
    expect(await outcomeOf(open(location, { blockSizeBytes: -1 }))).toBe('INVALID')
    expect(await outcomeOf(open(location, { createIfMissing: false }))).toBe('INVALID')
    expect(existsSync(join(folder, 'new'))).toBe(false)
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('an S3 server that refuses', () => {
  let server: Server
  let answer: { status: number; code: string }
  let asked: string[]
  beforeEach(async () => {
    asked = []
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      request.resume()
      response.writeHead(answer.status, { 'content-type': 'application/xml' })
      response.end(`<?xml version="1.0"?><Error><Code>${answer.code}</Code><Message>no</Message></Error>`)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'somebody')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'wrong')
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
  })

  const REFUSALS = [
    { status: 404, code: 'NoSuchBucket', says: /bucket/i },
    { status: 403, code: 'InvalidAccessKeyId', says: /credentials|access/i },
    { status: 403, code: 'SignatureDoesNotMatch', says: /credentials|access/i },
    { status: 403, code: 'AccessDenied', says: /credentials|access|permission/i },
  ]
  for (const { status, code, says } of REFUSALS) {
    test(`${code}: one clear error, one request, nothing left behind`, async () => {
      answer = { status, code }
      const { port } = server.address() as AddressInfo
      const opening = open(`s3://bucket/db?endpoint=http://127.0.0.1:${port}&region=us-east-1`)
      await expect(opening).rejects.toMatchObject({ name: 'MoraineError', message: expect.stringMatching(says) as string })
      expect(['INVALID', 'UNAVAILABLE']).toContain(await outcomeOf(opening))
      expect(asked).toHaveLength(1)
      expect(readdirSync(folder)).toEqual([])
    })
  }
})

describe('options', () => {
  test('an unknown name, a wrong type and a value out of range are INVALID and named', async () => {
    const store = new MemoryObjectStore()
    const wrong: [options: object, name: string][] = [
      [{ memtableSize: 1 }, 'memtableSize'],
      [{ memtableSizeBytes: '1' }, 'memtableSizeBytes'],
      [{ memtableSizeBytes: 1.5e6 + 0.5 }, 'memtableSizeBytes'],
      [{ memtableSizeBytes: Number.NaN }, 'memtableSizeBytes'],
      [{ blockSizeBytes: 0 }, 'blockSizeBytes'],
      [{ compression: 'snappy' }, 'compression'],
      [{ takeover: true }, 'takeover'],
      [{ createIfMissing: 'yes' }, 'createIfMissing'],
      [{ wal: 'disk' }, 'wal'],
      [{ wal: { kind: 'local', dir: '/x' } }, 'dir'],
      [{ wal: { kind: 'local', sync: 'sometimes' } }, 'sync'],
      [{ wal: { kind: 'local', folder: 7 } }, 'folder'],
      [{ wal: null }, 'wal'],
      [{ clock: {} }, 'clock'],
      [{ random: 4 }, 'random'],
      [{ closeTimeoutMs: Number.POSITIVE_INFINITY }, 'closeTimeoutMs'],
      [{ level0StopTrigger: 2, level0CompactionTrigger: 2 }, 'level0StopTrigger'],
    ]
    for (const [options, name] of wrong) {
      await expect(open({ store }, options as never), JSON.stringify(options)).rejects.toMatchObject({
        code: 'INVALID',
        message: expect.stringContaining(name) as string,
      })
    }
    await expect(open({ store }, { blobThresholdBytes: 255 })).rejects.toThrow('must be 0 or a whole number from 256')
    await expect(open({ store }, { compactionMaxAgeMs: 1000 })).rejects.toThrow('must be 0 or a whole number from 60000')
    await expect(open({ store }, { prices: { put: 1 } as never })).rejects.toThrow(/a price table of name, .*, without 'put'/)
    for (const options of ['wal', 7, null, []]) expect(await outcomeOf(open({ store }, options as never))).toBe('INVALID')
    expect((await store.list('')).objects).toEqual([])
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('calls', () => {
  test('keys, values, batches, bounds and call options of a wrong kind are INVALID and change nothing', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    await db.put('there', 'before')
    const other = await open({ store: new MemoryObjectStore() }, QUIET)
    const foreign = other.snapshot()
    const no = [undefined, null, 7, {}, [1, 2], new Uint16Array(2), new ArrayBuffer(2), new DataView(new ArrayBuffer(2))] as never[]
    for (const bad of no) {
      expect(await outcomeOf(db.put(bad, 'v'))).toBe('INVALID')
      expect(await outcomeOf(db.put('k', bad))).toBe('INVALID')
      expect(await outcomeOf(db.delete(bad))).toBe('INVALID')
      expect(await outcomeOf(db.get(bad))).toBe('INVALID')
      expect(await outcomeOf(db.getMany(['there', bad]))).toBe('INVALID')
      expect(() => db.getResident(bad)).toThrow()
      expect(() => new WriteBatch().put('k', bad)).toThrow()
      expect(() => new WriteBatch().delete(bad)).toThrow()
      if (bad !== undefined) expect(() => db.scan({ gte: bad })).toThrow()
    }
    await expect(db.put('k', undefined as never)).rejects.toThrow('not undefined')
    expect(await outcomeOf(db.write({} as never))).toBe('INVALID')
    expect(await outcomeOf(db.write([] as never))).toBe('INVALID')
    expect(await outcomeOf(db.getMany('there' as never))).toBe('INVALID')
    expect(await outcomeOf(db.put('k', 'v', { durable: true } as never))).toBe('INVALID')
    expect(await outcomeOf(db.put('k', 'v', { durability: 'disk' } as never))).toBe('INVALID')
    expect(await outcomeOf(db.put('k', 'v', { signal: {} } as never))).toBe('INVALID')
    expect(await outcomeOf(db.get('k', { snapshot: foreign }))).toBe('INVALID')
    expect(await outcomeOf(db.get('k', { snapshot: {} as never }))).toBe('INVALID')
    expect(await outcomeOf(db.compact({ gte: 'b', lt: 'a' }))).toBe('INVALID')
    expect(() => db.scan({ from: 'a' } as never)).toThrow(/from/)
    expect(() => db.scan({ limit: -1 })).toThrow(/limit/)
    expect(() => db.scan({ reverse: 1 } as never)).toThrow(/reverse/)
    expect(await contents(db)).toEqual({ there: 'before' })
    expect(db.stats().lastSequence).toBe(1)
    foreign.close()
    await other.close()
    await db.close()
  })

  test('the longest key is taken, one byte more is INVALID, as text and as bytes', async () => {
    const db = await open({ store: new MemoryObjectStore() }, QUIET)
    const longest = 'k'.repeat(65_535)
    await db.put(longest, 'long')
    await db.put('ü'.repeat(32_767), 'umlauts')
    await db.flush()
    for (const tooLong of [`${longest}k`, 'ü'.repeat(32_768), new Uint8Array(65_536)]) {
      expect(await outcomeOf(db.put(tooLong, 'v'))).toBe('INVALID')
      expect(await outcomeOf(db.get(tooLong))).toBe('INVALID')
      expect(await outcomeOf(db.delete(tooLong))).toBe('INVALID')
      expect(() => new WriteBatch().put(tooLong, 'v')).toThrow(/65535/)
    }
    expect(await contents(db)).toEqual({ [longest]: 'long', ['ü'.repeat(32_767)]: 'umlauts' })
    await db.close()
  })

  test('after close every call is CLOSED, and close again is fine', async () => {
    const db: Db = await open({ store: new MemoryObjectStore() }, QUIET)
    await db.put('a', '1')
    const snapshot = db.snapshot()
    const scan = db.scan()
    const first = db.close()
    const second = db.close()
    expect(await outcomeOf(db.put('b', '2'))).toBe('CLOSED')
    await first
    await second
    await db[Symbol.asyncDispose]()
    for (const call of [
      () => db.put('b', '2'),
      () => db.delete('a'),
      () => db.write(new WriteBatch().put('a', '2')),
      () => db.get('a'),
      () => db.get('a', { snapshot }),
      () => db.getMany(['a']),
      () => db.flush(),
      () => db.compact(),
      () => scan.next(),
      async () => db.snapshot(),
      async () => db.getResident('a'),
      async () => db.scan(),
    ]) {
      expect(await outcomeOf(call()), String(call)).toBe('CLOSED')
    }
    snapshot.close()
    expect(db.stats().lastSequence).toBe(1)
  })
})
