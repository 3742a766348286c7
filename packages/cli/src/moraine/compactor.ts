import { systemClock, systemRandom } from '@moraine/base'
import { openRemoteCompactor, type RemoteCompactorEvent } from 'moraine/inspect'
import { parseCommandLine, wholeNumber } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { onDatabase } from './on-database.ts'

const HELP = `moraine compactor <database> [--once] [--poll-ms=N] [--json]

Carries out the compactions that the owner of a database offers (open(location, { remoteCompaction: { ... } })), until it is
interrupted. Any number may run; each may be killed at any time. It changes nothing by itself: the owner takes its results,
or does the work when none comes.

  --once        do what is offered now, and end
  --poll-ms=N   look for work so often; default 1000. One request each time while there is none
  --json        for programs: one JSON object a line
`

export async function compactor(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    once: { type: 'boolean' },
    'poll-ms': { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  const pollMs = wholeNumber(values['poll-ms'], 'poll-ms', 1) ?? 1_000
  return await onDatabase('compactor', positionals, async ({ store, prefix }) => {
    const stop = new AbortController()
    const print = async (text: string): Promise<void> => {
      await output.line(text)
      await output.flush()
    }
    const interrupt = (): void => stop.abort()
    process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
    let failed = false
    const onEvent = (event: RemoteCompactorEvent): void => {
      failed ||= event.what === 'failed'
      // Nobody reads any more: then nobody is there to say when to end, either.
      print(values.json === true ? JSON.stringify(shown(event)) : textOf(event)).catch(interrupt)
    }
    try {
      const remote = openRemoteCompactor({ root: store, prefix }, { clock: systemClock, random: systemRandom, onEvent })
      await remote.run({ once: values.once ?? false, pollMs, signal: stop.signal })
    } catch (error) {
      if (!stop.signal.aborted) throw error
    } finally {
      process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    }
    return failed && values.once === true ? ExitCode.problem : ExitCode.ok
  })
}

function shown(event: RemoteCompactorEvent): object {
  return 'error' in event ? { ...event, error: event.error.message } : event
}

function textOf(event: RemoteCompactorEvent): string {
  switch (event.what) {
    case 'claimed':
      return `Job ${event.job}, attempt ${event.attempt}: ${counted(event.inputFiles, 'table')}, ${formatBytes(event.inputBytes)}`
    case 'finished':
      return `Job ${event.job}, attempt ${event.attempt}: finished, ${counted(event.outputFiles, 'table')}, ${formatBytes(event.outputBytes)}`
    case 'dropped':
      return `Job ${event.job}, attempt ${event.attempt}: the owner does not want it any more`
    case 'failed':
      return `Job ${event.job}, attempt ${event.attempt}: ${event.error.message}`
    case 'retry':
      return `Trying again: ${event.error.message}`
  }
}
