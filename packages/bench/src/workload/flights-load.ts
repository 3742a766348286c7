import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Figures, MeasureContext, Workload } from './workload.ts'

/** The quickstart, in a process of its own: three million real rows, loaded, reopened elsewhere and verified. */
export const flightsLoad: Workload = {
  name: 'flights-load',
  figures: [
    { name: 'load of 3 M flights, rows', unit: 'per-second', better: 'more', target: '>= 150,000/s to a folder' },
    { name: 'load of 3 M flights, peak memory', unit: 'bytes', better: 'less', target: '< 512 MB' },
    { name: 'read back in a new process, rows', unit: 'per-second', better: 'more', target: '' },
  ],
  needs: 'own',
  only: ['moraine'],
  maxRounds: 1,
  async measure(context: MeasureContext): Promise<Figures> {
    const figures = await runQuickstart(['--json', '--location', context.freshSettings().location])
    return {
      'load of 3 M flights, rows': figures.load.rowsPerSecond,
      'load of 3 M flights, peak memory': figures.peakRssBytes,
      'read back in a new process, rows': figures.rows / (figures.verification.scanMs / 1000),
    }
  },
}

/** The part of the quickstart's JSON report that is used here. */
interface QuickstartFigures {
  readonly rows: number
  readonly load: { readonly rowsPerSecond: number }
  readonly verification: { readonly scanMs: number }
  readonly peakRssBytes: number
}

function runQuickstart(args: readonly string[]): Promise<QuickstartFigures> {
  const program = fileURLToPath(new URL('../../../examples/dist/flights/main.js', import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    const output: Buffer[] = []
    const errors: Buffer[] = []
    child.stdout.on('data', (part: Buffer) => output.push(part))
    child.stderr.on('data', (part: Buffer) => errors.push(part))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(JSON.parse(Buffer.concat(output).toString()) as QuickstartFigures)
      else reject(new Error(`the quickstart failed: ${Buffer.concat(errors).toString().trim().split('\n').at(-1)}`))
    })
  })
}
