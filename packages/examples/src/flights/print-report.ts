import { formatBytes, formatCount, formatDollars, formatMs, formatTable } from './format.ts'
import type { PointReadTimes } from './point-reads.ts'
import type { QuickstartReport } from './quickstart.ts'

/** The report for people; `print` writes one line or several. */
export function printedReport(print: (text: string) => void): QuickstartReport {
  return {
    loaded(rows, load) {
      print(
        `Loaded ${formatCount(rows)} flights in ${load.seconds.toFixed(1)} s: ${formatCount(load.rowsPerSecond)} rows/s ` +
          `(the final flush took ${load.flushSeconds.toFixed(1)} s of it)`,
      )
    },
    stored(store) {
      print('\nThe tree')
      const rows = store.levels.map(({ name, files, bytes }) => [name, `${files} ${files === 1 ? 'file' : 'files'}`, formatBytes(bytes)])
      print(formatTable(rows.length === 0 ? [['empty']] : rows))
      const kinds = Object.entries(store.requestsByKind).map(([kind, count]) => `${kind} ${formatCount(count)}`)
      print(`\nRequests so far: ${formatCount(store.requests)} (${kinds.join(', ')})`)
      print(`Their price at S3 list prices: ${formatDollars(store.dollars)}`)
    },
    explored(airports, pointReads) {
      print(
        `\n${airports.count} airports found by leaping from prefix to prefix in ${formatMs(airports.listMs)}, ` +
          `all their flights read by prefix scans in ${formatMs(airports.scanMs)}. The busiest:`,
      )
      print(
        formatTable([
          ['airport', 'departures', 'mean delay'],
          ...airports.busiest.map(({ airport, departures, meanDelayMinutes }) => [
            airport,
            formatCount(departures),
            `${meanDelayMinutes.toFixed(1)} min`,
          ]),
        ]),
      )
      print('\nPoint reads, one at a time')
      print(formatTable([readTimes('first time', pointReads.first), readTimes('again', pointReads.again)]))
    },
    verified(figures) {
      const { verification } = figures
      print('\nClosed, and opened again in a new process with an empty local disk')
      print(`  opened in ${formatMs(verification.openMs)} with ${verification.openRequests} requests`)
      print(
        formatTable([
          readTimes(`cold (${verification.coldReads.requests} requests)`, verification.coldReads),
          readTimes('again', verification.hotReads),
        ]),
      )
      print(`  all entries read in ${formatMs(verification.scanMs)}`)
      print(
        formatTable([
          ['', 'rows', 'digest'],
          ['source', formatCount(figures.rows), figures.digest],
          ['database', formatCount(verification.rows), verification.digest],
        ]),
      )
      print(figures.proven ? '  They are equal: nothing is missing and nothing was changed.' : '  THEY DIFFER.')
    },
  }
}

/** For `--json`: nothing is said before the end. */
export const silentReport: QuickstartReport = {
  loaded: () => undefined,
  stored: () => undefined,
  explored: () => undefined,
  verified: () => undefined,
}

function readTimes(name: string, times: PointReadTimes): string[] {
  return [name, `${formatCount(times.reads)} reads`, `p50 ${formatMs(times.p50Ms)}`, `p99 ${formatMs(times.p99Ms)}`]
}
