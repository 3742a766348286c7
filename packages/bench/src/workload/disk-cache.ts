import { join } from 'node:path'
import { systemClock, systemRandom } from '@moraine/base'
import { CountingObjectStore, LatencyObjectStore, parseLocation } from '@moraine/object-store'
import { type Db, open, type OpenOptions } from 'moraine'
import { median } from '../report/median.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

const ENTRIES = 50_000
const READS = 300
const LATENCY_MS = 5

/** Every read is one of another block, behind a store 5 ms away. */
const COLD: OpenOptions = { wal: 'none', blockCacheSizeBytes: 0, level0CompactionTrigger: 1000, level0StopTrigger: 1001, gcIntervalMs: 0 }

/** Point reads that miss the memory: from the store, and from the disk cache of a process that was started again. */
export const diskCache: Workload = {
  name: 'disk-cache',
  figures: [
    { name: 'cold get, store at 5 ms, p50', unit: 'ms', better: 'less', target: '' },
    { name: 'cold get, disk cache, p50', unit: 'ms', better: 'less', target: '' },
    { name: 'cold get, disk cache, GETs', unit: 'count', better: 'less', target: '0' },
  ],
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const { folder, location } = context.freshSettings()
    const parsed = parseLocation(location)
    const counted = new CountingObjectStore(parsed.store)
    const store = new LatencyObjectStore(counted, { clock: systemClock, random: systemRandom, minMs: LATENCY_MS, maxMs: LATENCY_MS })
    const at = { store, prefix: parsed.prefix }
    const cached: OpenOptions = { ...COLD, diskCache: { folder: join(folder, 'cache'), sizeBytes: 64 * 1024 * 1024 } }
    try {
      const loader = await open(at, COLD)
      for (let i = 0; i < ENTRIES; i += 100) {
        await Promise.all(Array.from({ length: 100 }, (_, k) => loader.put(...context.dataset.entry(i + k))))
      }
      await loader.flush()
      await readEach(context, loader)
      const fromStore = await readEach(context, loader)
      await loader.close()

      const filling = await open(at, cached)
      await readEach(context, filling)
      await filling.close()
      const again = await open(at, cached)
      const before = counted.snapshot().operations.get.requests
      const fromDisk = await readEach(context, again)
      const gets = counted.snapshot().operations.get.requests - before
      await again.close()
      return {
        'cold get, store at 5 ms, p50': fromStore,
        'cold get, disk cache, p50': fromDisk,
        'cold get, disk cache, GETs': gets,
      }
    } finally {
      await store.close()
    }
  },
}

/** The median time of a read, in milliseconds. */
async function readEach({ dataset, nowMs }: MeasureContext, db: Db): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < READS; i++) {
    const startMs = nowMs()
    if ((await db.get(dataset.key((i * 7919) % ENTRIES))) === undefined) throw new Error('a key is missing')
    times.push(nowMs() - startMs)
  }
  return median(times)
}
