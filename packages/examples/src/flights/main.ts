import { isMoraineError } from 'moraine'
import { formatBytes, formatCount } from './format.ts'
import { prepareWorkplace } from './location.ts'
import { parseQuickstartOptions, type QuickstartOptions, usage, UsageError } from './options.ts'
import { printedReport, silentReport } from './print-report.ts'
import { runQuickstart } from './quickstart.ts'
import { showTable } from './show-table.ts'

// The entry of `npm run quickstart`. Exit codes: 0 proven, 1 failed or not equal, 2 misuse.

try {
  const options = parseQuickstartOptions(process.argv.slice(2))
  if (options.help) console.log(usage)
  else process.exitCode = await quickstart(options)
} catch (error) {
  const misuse = error instanceof UsageError || isMoraineError(error, 'INVALID')
  if (error instanceof UsageError) console.error(`${error.message}\n\nnpm run quickstart -- --help lists the options`)
  else if (isMoraineError(error)) console.error(`${error.code}: ${error.message}`)
  else console.error(error)
  process.exitCode = misuse ? 2 : 1
}

async function quickstart(options: QuickstartOptions): Promise<number> {
  const print = options.json ? (): void => undefined : (text: string): void => console.log(text)
  const workplace = await prepareWorkplace(options, `flights-${Date.now()}`)
  try {
    print(`${formatCount(options.rows)} real flights of 2001 into ${workplace.location}`)
    if (workplace.emptiedFolder !== undefined) print(`(${workplace.emptiedFolder} was emptied first)`)
    print('')
    const report = options.json ? silentReport : printedReport(print)
    const figures = await runQuickstart(workplace, options.rows, report, process.stderr, () => performance.now())
    if (!options.json) await showTable(workplace.location, print)
    print(`\n${figures.totalSeconds.toFixed(1)} s in all, at most ${formatBytes(figures.peakRssBytes)} of memory in a process`)
    if (options.location !== undefined) print(`The database stays at ${workplace.location}`)
    else if (options.keep) print(`The database stays at ${workplace.location} until the next run without --location`)
    else print('The folder is removed now; with --keep it stays for you to look at')
    if (options.json) console.log(JSON.stringify(figures))
    if (!figures.proven) console.error('the reopened database does not hold what the source holds')
    return figures.proven ? 0 : 1
  } finally {
    await workplace.dispose()
  }
}
