import { isMoraineError, systemClock } from '@moraine/base'
import { ExitCode } from './exit-code.ts'
import type { Terminal } from './terminal.ts'
import { OutputClosedError, TextOutput } from './text-output.ts'
import { UsageError } from './usage-error.ts'

/** A program: takes its arguments, prints, and says how it ended. */
export type Program = (args: readonly string[], terminal: Terminal) => Promise<ExitCode>

/**
 * Runs a program as this process. Errors become one line on stderr and an exit code; a defect keeps its stack. The
 * process ends by itself, so that what was printed is not cut off.
 */
export async function runProgram(name: string, program: Program): Promise<void> {
  const output = new TextOutput(process.stdout)
  const terminal: Terminal = { output, remarks: process.stderr, clock: systemClock }
  process.stderr.on('error', () => {})
  // The SDK of the S3 driver would announce future versions of Node here.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true'
  process.exitCode = await exitCodeOf(name, program, terminal)
}

/** Like `runProgram`, without the process: for tests. */
export async function exitCodeOf(
  name: string,
  program: Program,
  terminal: Terminal,
  args: readonly string[] = process.argv.slice(2),
): Promise<ExitCode> {
  let code: ExitCode
  try {
    code = await program(args, terminal)
  } catch (error) {
    if (error instanceof OutputClosedError) return ExitCode.ok
    code = report(error, name, terminal)
  }
  try {
    // What was printed before a failure is still wanted.
    await terminal.output.flush()
    return code
  } catch (error) {
    return error instanceof OutputClosedError ? ExitCode.ok : report(error, name, terminal)
  }
}

function report(error: unknown, name: string, { remarks }: Terminal): ExitCode {
  if (error instanceof UsageError) {
    remarks.write(`${name}: ${error.message}\nTry '${name} --help'.\n`)
    return ExitCode.misuse
  }
  if (isMoraineError(error) && error.code !== 'INTERNAL') remarks.write(`${name}: ${error.message}\n`)
  else if (isSystemError(error)) remarks.write(`${name}: ${error.message}\n`)
  else remarks.write(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  return ExitCode.problem
}

/** A refusal of the operating system (a full disk behind stdout): its message is enough. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error
}
