import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { randomHex, systemClock, systemRandom } from '@moraine/base'
import { isMoraineError } from 'moraine'
import { formatCount, formatTable } from '../flights/format.ts'
import { belowLocation } from '../flights/location.ts'
import { UsageError } from '../flights/options.ts'
import { ProgressBar } from '../flights/progress-bar.ts'
import type { Progress } from '../harness/run-job.ts'
import { type Comparison, compareRows } from './compare.ts'
import { crashLoop, type LifeMessage } from './crash-loop.ts'
import type { AnyExample } from './example.ts'
import { killAfter, live } from './live.ts'
import { parseOptions, type ProgramOptions, usage } from './options.ts'

/** What the programs need of their process. */
type OwnProcess = typeof process

/** The program of an example: runs its job, with crashes if asked for, and compares. Resolves to the exit code. */
export async function runProgram(example: AnyExample, own: OwnProcess): Promise<number> {
  const args = own.argv.slice(2)
  try {
    const options = parseOptions(args, example)
    if (options.help) {
      own.stdout.write(`${usage(example)}\n`)
      return 0
    }
    if (options.liveRecords !== undefined) return await runLife(example, options, options.liveRecords, own)
    return await runAndCompare(example, options, own)
  } catch (error) {
    if (error instanceof UsageError) {
      own.stderr.write(`${error.message}\n\n--help lists the options\n`)
      return 2
    }
    own.stderr.write(isMoraineError(error) ? `${error.code}: ${error.message}\n` : `${error instanceof Error ? error.stack : String(error)}\n`)
    return isMoraineError(error, 'INVALID') ? 2 : 1
  }
}

interface Figures {
  readonly seconds: number
  readonly checkpoints: number
  readonly kills: number
}

async function runAndCompare(example: AnyExample, options: ProgramOptions, own: OwnProcess): Promise<number> {
  const print = options.json ? (): void => undefined : (line: string): void => void own.stdout.write(`${line}\n`)
  const made = await mkdtemp(join(tmpdir(), `moraine-${example.name}-`))
  try {
    const location =
      options.location === undefined
        ? pathToFileURL(join(made, 'state')).href
        : belowLocation(options.location, `${example.name}-${randomHex(systemRandom, 4)}`)
    const results = options.results === undefined ? join(made, 'results') : resolve(options.results)
    if (options.results !== undefined) await refuseUsedFolder(results)
    const { records, seed, parallelism, crashEvery } = options
    print(example.summary)
    print(
      `${formatCount(records)} records of seed ${seed}, ${parallelism} ${parallelism === 1 ? 'instance' : 'instances'}` +
        (crashEvery === undefined ? '' : `, killed after about every ${formatCount(crashEvery)} records`),
    )
    if (options.location !== undefined) print(`State in ${location}`)
    if (options.results !== undefined) print(`Rows in ${results}`)

    const figures = await runToTheEnd(example, options, { location, results }, own)
    const rate = records / figures.seconds
    print(
      `\n${formatCount(records)} records in ${figures.seconds.toFixed(1)} s: ${formatCount(rate)} records/s, ${formatCount(figures.checkpoints)} checkpoints` +
        (crashEvery === undefined ? '' : `, killed ${formatCount(figures.kills)} times`),
    )
    const comparison = await compareRows(example, options, results)
    printComparison(comparison, print)
    if (options.json) {
      const { outputs, equal } = comparison
      own.stdout.write(`${JSON.stringify({ example: example.name, records, seed, parallelism, ...figures, recordsPerSecond: rate, outputs, equal })}\n`)
    }
    return comparison.equal ? 0 : 1
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}

async function runToTheEnd(example: AnyExample, options: ProgramOptions, place: { location: string; results: string }, own: OwnProcess): Promise<Figures> {
  const { records, crashEvery } = options
  const bar = new ProgressBar(example.name, records, own.stderr, () => systemClock.monotonicMs())
  const startMs = systemClock.monotonicMs()
  let last: Progress | undefined
  const onProgress = (progress: Progress): void => {
    last = progress
    bar.update(progress.records)
  }
  let kills = 0
  let checkpoints: number | undefined
  if (crashEvery === undefined) {
    checkpoints = (await live(example, { ...options, ...place, onProgress })).checkpoints
  } else {
    kills = await crashLoop(own.argv[1] as string, lifeArguments(options, place), crashEvery, onProgress)
  }
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000
  bar.finish(records)
  return { seconds, checkpoints: checkpoints ?? last?.checkpoints ?? 0, kills }
}

function lifeArguments(options: ProgramOptions, { location, results }: { location: string; results: string }): string[] {
  const { records, seed, parallelism, checkpointEvery } = options
  const given = { records, seed, parallelism, location, results, 'checkpoint-every': checkpointEvery }
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)]))
}

const TELL_EVERY_MS = 20

/** A life that is to be cut off: runs the job, tells how far it is, and compares nothing. */
async function runLife(example: AnyExample, options: ProgramOptions, liveRecords: number, own: OwnProcess): Promise<number> {
  const { location, results } = options
  if (location === undefined || results === undefined) throw new UsageError('--live-records is for the processes that --crash-every starts')
  const orphaned = (): void => own.exit(1)
  own.on('disconnect', orphaned)
  let toldMs = Number.NEGATIVE_INFINITY
  let toldCheckpoints = 0
  const tell = (progress: Progress): void => void own.send?.({ progress } satisfies LifeMessage)
  await live(example, {
    ...options,
    location,
    results,
    onRecord: killAfter(liveRecords, () => own.kill(own.pid, 'SIGKILL')),
    onProgress: (progress) => {
      const now = systemClock.monotonicMs()
      if (now - toldMs < TELL_EVERY_MS && progress.checkpoints === toldCheckpoints) return
      toldMs = now
      toldCheckpoints = progress.checkpoints
      tell(progress)
    },
  })
  own.off('disconnect', orphaned)
  if (own.connected) own.disconnect()
  return 0
}

function printComparison({ outputs, equal, highlights }: Comparison, print: (line: string) => void): void {
  for (const line of highlights) print(line)
  const rows = Object.entries(outputs).flatMap(([name, { job, answer }]) => [
    [name, 'the job', formatCount(job.rows), job.digest],
    ['', 'the answer', formatCount(answer.rows), answer.digest],
  ])
  print('')
  print(formatTable([['output', 'of', 'rows', 'digest'], ...rows]))
  print(equal ? '  They are equal: every record counts, and counts once.' : '  THEY DIFFER.')
}

async function refuseUsedFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw new UsageError(`--results ${folder} cannot be read: ${error.message}`)
  })
  if (names.length > 0) throw new UsageError(`--results ${folder} is not empty (it holds '${names[0]}'): name another one`)
}
