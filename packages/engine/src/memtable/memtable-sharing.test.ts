/**
 * Invariant: a sealed memtable reads the same in another thread, and a released one gives its chunks back so that
 * neither its old readers nor the next owner of the chunks ever see data that is not theirs.
 */
import { Worker } from 'node:worker_threads'
import { SeededRandom } from '@moraine/base'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'
import { ArenaPool, CHUNK_BYTES } from './arena.ts'
import { Memtable } from './memtable.ts'

const COUNT = 20_000

function keyOf(i: number, salt: number): Uint8Array {
  return new SeededRandom(i * 31 + salt).fill(new Uint8Array(1 + (i % 24)))
}

/** COUNT entries over fewer keys, a few of them large. */
function fill(memtable: Memtable, salt: number): void {
  const value = new Uint8Array(100_000).fill(salt)
  for (let i = 0; i < COUNT; i++) {
    const key = keyOf(i % 15_000, salt)
    memtable.insert(i + 1, 1, key, 0, key.length, value, 0, i % 5_000 === 0 ? 100_000 : i % 150)
  }
}

/** The digest of a memtable as the whole program of a worker: plain JavaScript, because Node 20 runs no TypeScript. */
async function bundleWorker(): Promise<string> {
  const entry = 'virtual:memtable-worker'
  const result = await build({
    configFile: false,
    logLevel: 'silent',
    resolve: { conditions: ['moraine-source'] },
    ssr: { noExternal: /^@moraine\//, resolve: { conditions: ['moraine-source'] } },
    plugins: [
      {
        name: 'worker-entry',
        resolveId: (id) => (id === entry ? id : undefined),
        load: (id) =>
          id === entry
            ? `import { parentPort, workerData } from 'node:worker_threads'
               import { Memtable } from ${JSON.stringify(new URL('memtable.ts', import.meta.url).pathname)}
               ${digest.toString()}
               parentPort.postMessage(digest(Memtable.attach(workerData)))`
            : undefined,
      },
    ],
    build: {
      ssr: true,
      write: false,
      minify: false,
      rollupOptions: { input: entry, output: { format: 'cjs' } },
    },
  })
  const output = (result as { output: { code: string }[] }).output
  return (output[0] as { code: string }).code
}

/** Every entry in order, as text that two threads can compare. */
function digest(memtable: Memtable): string {
  const it = memtable.iterator()
  let entries = 0
  let hash = 0
  for (it.seekToFirst(); it.valid; it.next()) {
    entries++
    hash = (Math.imul(hash, 31) + it.seq + it.kind) | 0
    for (let i = it.keyStart; i < it.keyEnd; i++) hash = (Math.imul(hash, 31) + (it.keyBytes[i] as number)) | 0
    for (let i = it.valueStart; i < it.valueEnd; i++) hash = (Math.imul(hash, 31) + (it.valueBytes[i] as number)) | 0
  }
  return `${entries} ${hash}`
}

describe('image and attach', () => {
  test.each([true, false])('reads the same after structured cloning (shared: %s)', (shared) => {
    const memtable = new Memtable({ shared })
    fill(memtable, 3)
    const image = structuredClone(memtable.image())
    const attached = Memtable.attach(image)
    expect(digest(attached)).toBe(digest(memtable))
    expect(attached.entryCount).toBe(COUNT)
    expect(attached.memoryBytes).toBe(memtable.memoryBytes)
    expect([attached.smallestSeq, attached.largestSeq, attached.rawBytes]).toEqual([1, COUNT, memtable.rawBytes])
    for (let i = 0; i < 15_000; i += 7) {
      const key = keyOf(i, 3)
      for (const seq of [i, i + 1, COUNT]) {
        const ref = memtable.find(key, 0, key.length, seq)
        if (attached.find(key, 0, key.length, seq) !== ref) expect(attached.find(key, 0, key.length, seq)).toBe(ref)
      }
      const mine = memtable.iterator()
      const its = attached.iterator()
      mine.seek(key.subarray(0, 1), COUNT)
      its.seek(key.subarray(0, 1), COUNT)
      if (mine.seq !== its.seq) expect(its.seq).toBe(mine.seq)
    }
  })

  test('does not copy a shared memtable', () => {
    const memtable = new Memtable({ shared: true })
    fill(memtable, 3)
    for (const chunk of memtable.image().recordChunks) expect(chunk).toBeInstanceOf(SharedArrayBuffer)
    for (const value of memtable.image().largeValues) expect(value.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  test('is read-only where it is attached, and releasing there leaves the owner whole', () => {
    const memtable = new Memtable({ shared: true })
    fill(memtable, 3)
    const before = digest(memtable)
    const attached = Memtable.attach(memtable.image())
    const key = new Uint8Array([1])
    expect(() => attached.insert(COUNT + 1, 1, key, 0, 1, key, 0, 1)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
    attached.release()
    expect(digest(memtable)).toBe(before)
  })

  test('is walked by a worker thread', async () => {
    const memtable = new Memtable({ shared: true })
    fill(memtable, 9)
    const worker = new Worker(await bundleWorker(), { eval: true, workerData: memtable.image() })
    try {
      const answer = await new Promise((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      })
      expect(answer).toBe(digest(memtable))
    } finally {
      await worker.terminate()
    }
  })
})

describe('release', () => {
  test('returns chunks to the pool up to its limit, by kind', () => {
    const pool = new ArenaPool(3 * CHUNK_BYTES)
    for (const shared of [true, false]) {
      const memtable = new Memtable({ shared, pool })
      fill(memtable, 1)
      memtable.release()
      memtable.release()
      expect(memtable.memoryBytes).toBe(0)
    }
    expect(pool.pooledBytes).toBe(3 * CHUNK_BYTES)
    // The first memtable's chunks filled the pool; they are of the shared kind.
    expect(pool.take(false)).toBeUndefined()
    expect(pool.take(true)).toBeInstanceOf(SharedArrayBuffer)
  })

  test('never shows what a pooled chunk held before', () => {
    const pool = new ArenaPool(64 * CHUNK_BYTES)
    for (let round = 1; round <= 6; round++) {
      // The reference takes clean chunks; the other takes what earlier rounds left, in another order each time.
      const reference = new Memtable()
      const recycled = new Memtable({ pool, initialBytes: CHUNK_BYTES })
      fill(reference, round)
      fill(recycled, round)
      expect(digest(recycled)).toBe(digest(reference))
      for (let i = 0; i < 15_000; i += 3) {
        const stale = keyOf(i, round - 1)
        const refs = [reference, recycled].map((memtable) => memtable.find(stale, 0, stale.length, COUNT) === -1)
        if (refs[0] !== refs[1]) expect(refs[1]).toBe(refs[0])
      }
      const pooledBefore = pool.pooledBytes
      recycled.release()
      expect(pool.pooledBytes).toBeGreaterThan(pooledBefore)
    }
  })

  test('makes every later use throw INTERNAL, by old iterators too', () => {
    const memtable = new Memtable({ pool: new ArenaPool(8 * CHUNK_BYTES) })
    fill(memtable, 1)
    const key = keyOf(5, 1)
    const ref = memtable.find(key, 0, key.length, COUNT)
    const it = memtable.iterator()
    it.seekToFirst()
    memtable.release()
    const uses = [
      () => memtable.insert(COUNT + 1, 1, key, 0, 1, key, 0, 1),
      () => memtable.find(key, 0, key.length, COUNT),
      () => memtable.seqOf(ref),
      () => memtable.kindOf(ref),
      () => memtable.valueBytesOf(ref),
      () => memtable.valueStartOf(ref),
      () => memtable.valueEndOf(ref),
      () => memtable.valueOf(ref),
      () => memtable.iterator(),
      () => memtable.image(),
      () => it.next(),
      () => it.seek(key, 1),
      () => it.seekToLast(),
    ]
    for (const use of uses) expect(use).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
  })
})

describe('running out of memory', () => {
  /** Every allocation of a chunk fails once before it succeeds. */
  class FlakyPool extends ArenaPool {
    #takes = 0

    override take(shared: boolean): ArrayBufferLike | undefined {
      if (this.#takes++ % 2 === 0) throw new RangeError('Array buffer allocation failed')
      return super.take(shared)
    }
  }

  test('an insert that cannot allocate changes nothing and can be repeated', () => {
    const pool = new FlakyPool(0)
    const memtable = new Memtable({ pool })
    const reference = new Memtable()
    const value = new Uint8Array(40)
    let failures = 0
    for (let i = 0; i < 60_000; i++) {
      const key = keyOf(i, 1)
      reference.insert(i + 1, 1, key, 0, key.length, value, 0, 40)
      for (let tries = 0; memtable.largestSeq !== i + 1; tries++) {
        if (tries === 4) expect.unreachable('the insert fails for ever')
        try {
          memtable.insert(i + 1, 1, key, 0, key.length, value, 0, 40)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          expect([memtable.largestSeq, memtable.entryCount]).toEqual([i, i])
          failures++
        }
      }
    }
    expect(failures).toBeGreaterThan(4)
    expect(digest(memtable)).toBe(digest(reference))
    for (let i = 0; i < 60_000; i++) {
      const key = keyOf(i, 1)
      if (memtable.find(key, 0, key.length, i + 1) < 0) expect.unreachable('an inserted key was lost')
    }
  })
})
