import { engineSettings, simulateCompaction, type SimulationReport } from 'moraine/inspect'
import { isMoraineError } from '@moraine/base'
import { ExitCode } from '../../terminal/exit-code.ts'
import { counted, formatBytes, formatCount } from '../../terminal/figures.ts'
import { ProgressBar } from '../../terminal/progress-bar.ts'
import type { Terminal } from '../../terminal/terminal.ts'
import { renderTable } from '../../terminal/text-table.ts'
import { UsageError } from '../../terminal/usage-error.ts'
import { simulationHelp } from './help.ts'
import { parseSimulationOptions, type SimulationOptions } from './options.ts'

/** Prints what the compaction pickers would do over a synthetic load. */
export async function simulateCompactionCommand(args: readonly string[], { output, remarks, clock }: Terminal): Promise<ExitCode> {
  const options = parseSimulationOptions(args)
  if (options === 'help') {
    await output.line(simulationHelp.trimEnd())
    return ExitCode.ok
  }
  const { writes, keys, keyDistribution, deletePercent, seed, keyBytes, valueBytes } = options
  const bar = new ProgressBar('simulating', writes * (keyBytes + valueBytes), remarks, clock)
  let done = 0
  const report = simulateCompaction({
    load: { writes, keys, keyDistribution, deletePercent, seed },
    settings: treeSettings(options),
    keyBytes,
    valueBytes,
    writesPerSecond: options.writesPerSecond,
    compactionBytesPerSecond: options.compactionBytesPerSecond,
    samples: options.samples,
    onProgress: (now) => {
      bar.add((now - done) * (keyBytes + valueBytes))
      done = now
    },
  })
  bar.clear()
  if (options.json) await output.line(JSON.stringify({ style: options.style, ...report }, undefined, 2))
  else for (const line of reportLines(report)) await output.line(line)
  return ExitCode.ok
}

/** What `open` would make of the options; what it refuses is a wrong command line. */
function treeSettings({ style, engine, tiered }: SimulationOptions): ReturnType<typeof engineSettings> {
  const given = Object.fromEntries(Object.entries(engine).filter(([, value]) => value !== undefined))
  try {
    return engineSettings({ ...given, compaction: style === 'tiered' ? { style, ...definedOf(tiered) } : style })
  } catch (error) {
    if (isMoraineError(error, 'INVALID')) throw new UsageError(error.message)
    throw error
  }
}

function definedOf(values: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
}

function* reportLines(report: SimulationReport): Generator<string> {
  const reasons = Object.entries(report.reasons).map(([reason, count]) => `${formatCount(count)} ${reason}`)
  yield* renderTable([
    ['writes', `${formatCount(report.writes)} in ${duration(report.seconds)}, held back for ${duration(report.stalledSeconds)}`],
    ['data', `${formatBytes(report.liveBytes)} alive, ${formatBytes(report.sizeBytes)} in tables when all is compacted`],
    ['flushed', formatBytes(report.flushedBytes)],
    ['compacted', `${formatBytes(report.compactedBytes)} written by ${counted(report.compactions, 'compaction')}, the largest read ${formatBytes(report.largestCompactionBytes)}`],
    ['reasons', `${reasons.join(', ') || 'none'}; ${formatCount(report.trivialMoves)} without rewriting`],
    ['write amplification', report.writeAmplification.toFixed(2)],
    ['space amplification', `${report.spaceAmplification.mean.toFixed(2)} on average, ${report.spaceAmplification.most.toFixed(2)} at most`],
    ['read amplification', `${report.readAmplification.mean.toFixed(1)} sorted runs on average, ${report.readAmplification.most} at most`],
  ])
  yield ''
  const right = Array.from({ length: 7 }, () => 'right' as const)
  yield* renderTable(
    [
      ['LEVEL', 'TABLES', 'SIZE', 'SCORE', 'READ', 'WRITTEN', 'MOVED'],
      ...report.levels
        .filter(({ files, writtenBytes, movedBytes }) => files + writtenBytes + movedBytes > 0)
        .map((level) => [
          String(level.level),
          formatCount(level.files),
          formatBytes(level.sizeBytes),
          level.score.toFixed(2),
          formatBytes(level.readBytes),
          formatBytes(level.writtenBytes),
          formatBytes(level.movedBytes),
        ]),
    ],
    right,
  )
  yield ''
  yield* renderTable(
    [
      ['TIME', 'WRITES', 'FLUSHED', 'COMPACTED', 'IN TABLES', 'RUNS'],
      ...report.samples.map((sample) => [
        duration(sample.seconds),
        formatCount(sample.writes),
        formatBytes(sample.flushedBytes),
        formatBytes(sample.compactedBytes),
        formatBytes(sample.sizeBytes),
        formatCount(sample.sortedRuns),
      ]),
    ],
    right,
  )
}

function duration(seconds: number): string {
  if (seconds < 600) return `${seconds.toFixed(seconds < 10 && seconds > 0 ? 1 : 0)} s`
  return seconds < 36_000 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`
}
