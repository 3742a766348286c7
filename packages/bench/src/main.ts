import { writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { systemClock } from '@moraine/base'
import { BenchSite } from './bench-site.ts'
import { parseBenchOptions, usage, UsageError, type BenchOptions } from './options.ts'
import { renderReport } from './report/render-report.ts'
import { runWorkloads } from './run-workloads.ts'
import { loadSubjects } from './subject/load-subjects.ts'
import { allWorkloads } from './workload/all-workloads.ts'
import type { EventLoopWatch } from './workload/workload.ts'

// The entry of `npm run bench`. Exit codes: 0 measured, 1 a workload failed on Moraine, 2 misuse.

try {
  const options = parseBenchOptions(process.argv.slice(2))
  if (options.help) console.log(usage)
  else process.exitCode = await bench(options)
} catch (error) {
  console.error(error instanceof UsageError ? `${error.message}\n\nnpm run bench -- --help lists the options` : error)
  process.exitCode = error instanceof UsageError ? 2 : 1
}

async function bench(options: BenchOptions): Promise<number> {
  const startMs = systemClock.monotonicMs()
  const loadBefore = loadavg()[0] ?? 0
  const workloads = allWorkloads.filter((workload) =>
    options.only.length > 0 ? options.only.includes(workload.name) : !options.quick || workload.name !== 'flights-load',
  )
  const subjects = (await loadSubjects()).filter(
    (subject) => options.subjects.length === 0 || options.subjects.includes(subject.name),
  )
  const site = await BenchSite.create(options.location, `bench-${systemClock.nowMs()}`)
  try {
    const settings = { options, site, clock: systemClock, watchEventLoop, onProgress: showProgress }
    const outcomes = await runWorkloads(workloads, subjects, settings)
    showProgress('')

    const seconds = (systemClock.monotonicMs() - startMs) / 1000
    console.log(`Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'unknown processor'}`)
    console.log(
      `${options.rows.toLocaleString('en-US')} entries of 20 + 100 bytes, median of ${options.rounds}, ` +
        `${options.location === undefined ? 'store: a folder' : `store: ${options.location}`}, ${seconds.toFixed(0)} s in all\n`,
    )
    if (loadBefore > cpus().length / 2) {
      console.log(`The machine was busy before the run began (load ${loadBefore.toFixed(1)}): trust the ratios only\n`)
    }
    console.log(renderReport(workloads, subjects, outcomes))
    if (options.jsonFile !== undefined) {
      const figures = outcomes.map(({ workload, ...rest }) => ({ workload: workload.name, ...rest }))
      const report = { node: process.version, cpu: cpus()[0]?.model, cores: cpus().length, loadBefore, options, subjects, figures }
      await writeFile(options.jsonFile, `${JSON.stringify(report, undefined, 2)}\n`)
    }
    return outcomes.some((outcome) => outcome.subject === 'moraine' && outcome.failure !== undefined) ? 1 : 0
  } finally {
    await site.dispose()
  }
}

/** One line on a terminal, overwritten by the next; an empty text clears it. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\u001b[K${text === '' ? '\r' : ''}`)
}

function watchEventLoop(): EventLoopWatch {
  const resolutionMs = 1
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs })
  histogram.enable()
  return {
    stop() {
      histogram.disable()
      // The histogram holds the time between two ticks of a timer; what exceeds the timer's period is the delay.
      const delayMs = (percentile: number): number =>
        Math.max(0, histogram.percentile(percentile) / 1e6 - resolutionMs)
      return { p50Ms: delayMs(50), p99Ms: delayMs(99), p999Ms: delayMs(99.9) }
    },
  }
}
