import type { Db } from 'moraine'
import { type AirportSummary, busiestAirports, listAirports } from './airports.ts'
import { openFlights } from './database.ts'
import { feedFlights } from './flight-feed.ts'
import { type LoadResult, loadFlights } from './load.ts'
import type { Workplace } from './location.ts'
import { UsageError } from './options.ts'
import { type PointReadTimes, timePointReads } from './point-reads.ts'
import { ProgressBar, type ProgressOutput } from './progress-bar.ts'
import { type StoreFigures, storeFigures } from './store-figures.ts'
import { type VerificationResult, verifyInNewProcess } from './verification.ts'

/** Everything a run found out; `--json` prints it. */
export interface QuickstartFigures {
  readonly location: string
  readonly rows: number
  readonly digest: string
  readonly load: { readonly seconds: number; readonly rowsPerSecond: number; readonly flushSeconds: number }
  readonly store: StoreFigures
  readonly airports: {
    readonly count: number
    readonly listMs: number
    readonly scanMs: number
    readonly busiest: readonly AirportSummary[]
  }
  readonly pointReads: { readonly first: PointReadTimes; readonly again: PointReadTimes }
  readonly verification: VerificationResult
  /** Rows and digest of the second process equal those of the source. */
  readonly proven: boolean
  readonly peakRssBytes: number
  readonly totalSeconds: number
}

/** What a run reports while it goes on, section by section. */
export interface QuickstartReport {
  loaded(rows: number, load: QuickstartFigures['load']): void
  stored(store: StoreFigures): void
  explored(airports: QuickstartFigures['airports'], pointReads: QuickstartFigures['pointReads']): void
  verified(figures: QuickstartFigures): void
}

/** The whole tour: load, look around, close, prove it in another process. `nowMs` is a monotonic clock. */
export async function runQuickstart(
  workplace: Workplace,
  rowLimit: number,
  report: QuickstartReport,
  progress: ProgressOutput,
  nowMs: () => number,
): Promise<QuickstartFigures> {
  const startMs = nowMs()
  const db = await openFlights(workplace.location, `${workplace.localFolder}/loader`)
  let loaded: LoadResult
  let load: QuickstartFigures['load']
  let store: StoreFigures
  let airports: QuickstartFigures['airports']
  let pointReads: QuickstartFigures['pointReads']
  try {
    refuseUsedDatabase(db, workplace.location)
    const bar = new ProgressBar('Loading', rowLimit, progress, nowMs)
    const loadStartMs = nowMs()
    loaded = await loadFlights(db, feedFlights(rowLimit), rowLimit, (rows) => bar.update(rows))
    const flushStartMs = nowMs()
    // Without this the last writes would be in the local log only, and the other process has another disk.
    await db.flush()
    const seconds = (nowMs() - loadStartMs) / 1000
    bar.finish(loaded.rows)
    load = { seconds, rowsPerSecond: loaded.rows / seconds, flushSeconds: (nowMs() - flushStartMs) / 1000 }
    report.loaded(loaded.rows, load)

    store = storeFigures(db)
    report.stored(store)

    const listStartMs = nowMs()
    const codes = await listAirports(db)
    const scanStartMs = nowMs()
    const busiest = await busiestAirports(db, codes, 5)
    airports = {
      count: codes.length,
      listMs: scanStartMs - listStartMs,
      scanMs: nowMs() - scanStartMs,
      busiest,
    }
    pointReads = {
      first: await timePointReads(db, loaded.sampleKeys, nowMs),
      again: await timePointReads(db, loaded.sampleKeys, nowMs),
    }
    report.explored(airports, pointReads)
  } finally {
    await db.close()
  }

  const verification = await verifyInNewProcess({
    location: workplace.location,
    localFolder: `${workplace.localFolder}/verifier`,
    expectedRows: loaded.rows,
    sampleKeys: loaded.sampleKeys,
  })
  const figures: QuickstartFigures = {
    location: workplace.location,
    rows: loaded.rows,
    digest: loaded.digest,
    load,
    store,
    airports,
    pointReads,
    verification,
    proven: verification.rows === loaded.rows && verification.digest === loaded.digest,
    peakRssBytes: Math.max(process.resourceUsage().maxRSS * 1024, verification.peakRssBytes),
    totalSeconds: (nowMs() - startMs) / 1000,
  }
  report.verified(figures)
  return figures
}

/** A database that was ever written to belongs to somebody: nothing is added to it. */
function refuseUsedDatabase(db: Db, location: string): void {
  if (db.stats().lastSequence === 0) return
  throw new UsageError(`${location} already holds a database: name another location, or add --new-prefix`)
}
