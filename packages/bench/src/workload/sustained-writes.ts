import { folderSizeBytes } from './folder-size.ts'
import { keySizeBytes, valueSizeBytes } from './dataset.ts'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/**
 * Full write load for several times as long as the other workloads: flushes and compactions keep up or they do not.
 * A quarter of the puts overwrite, so that compaction has something to drop. The writer lets the event loop turn every
 * 256 puts, as a server that reads from sockets would; what delays the loop beyond that is the database's doing.
 */
export const sustainedWrites: Workload = {
  name: 'sustained-writes',
  figures: [
    { name: 'sustained puts', unit: 'per-second', better: 'more', target: '>= 200,000/s' },
    { name: 'event loop delay, p50', unit: 'ms', better: 'less', target: '' },
    { name: 'event loop delay, p99', unit: 'ms', better: 'less', target: '' },
    { name: 'event loop delay, p99.9', unit: 'ms', better: 'less', target: '<= 10 ms' },
    { name: 'space amplification', unit: 'factor', better: 'less', target: '' },
    { name: 'write amplification, store', unit: 'factor', better: 'less', target: '' },
    { name: 'requests per million puts', unit: 'count', better: 'less', target: '' },
    { name: 'dollars per million puts', unit: 'dollars', better: 'less', target: '' },
  ],
  needs: 'own',
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const { dataset } = context
    const settings = context.freshSettings()
    const database = await context.subject.open(settings)
    const watch = context.watchEventLoop()
    const startMs = context.nowMs()
    const budgetMs = context.budgetMs * 8
    let puts = 0
    let distinct = 0
    let over = false
    // One turn of the loop that all lanes wait for: if one lane alone stepped aside, the others would keep the loop busy.
    let turn: Promise<void> | undefined
    const lane = async (): Promise<void> => {
      while (!over) {
        const i = puts++
        const overwrites = i % 4 === 3
        await database.put(dataset.key(overwrites ? distinct >> 1 : distinct++), dataset.value(i))
        if (i % 256 === 0) {
          over = context.nowMs() - startMs >= budgetMs
          turn ??= context.yieldNow().then(() => {
            turn = undefined
          })
        }
        if (turn !== undefined) await turn
      }
    }
    await Promise.all(Array.from({ length: 64 }, lane))
    const seconds = (context.nowMs() - startMs) / 1000
    const delay = watch.stop()
    await database.flush()
    const traffic = database.traffic?.()
    await database.close()

    const entryBytes = keySizeBytes + valueSizeBytes
    const storedBytes = await folderSizeBytes(context.subject.remote ? localPath(settings.location) : settings.folder)
    return {
      'sustained puts': puts / seconds,
      'event loop delay, p50': delay.p50Ms,
      'event loop delay, p99': delay.p99Ms,
      'event loop delay, p99.9': delay.p999Ms,
      ...(storedBytes > 0 ? { 'space amplification': storedBytes / (distinct * entryBytes) } : {}),
      ...(traffic === undefined
        ? {}
        : {
            'write amplification, store': traffic.bytesWritten / (puts * entryBytes),
            'requests per million puts': (traffic.requests / puts) * 1e6,
            'dollars per million puts': (traffic.dollars / puts) * 1e6,
          }),
    }
  },
}

/** The folder of a file: location, or a path that does not exist where the store is not a folder. */
function localPath(location: string): string {
  return location.startsWith('file://') ? decodeURIComponent(new URL(location).pathname) : ''
}
