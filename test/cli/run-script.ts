import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The scripts run what is built; a type error is for the type check to report, the code is written all the same. */
export async function buildCli(): Promise<void> {
  const compiler = fromRoot('node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [compiler, '-b', fromRoot('packages/cli')]).catch(() => {})
}

/** Runs `scripts/<name>` as a person would, by its shebang. */
export async function runScript(name: 'sst-dump' | 'moraine', ...args: string[]): Promise<Ended> {
  const child = spawn(fromRoot(`scripts/${name}`), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const parts: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (part: Buffer) => parts[0].push(part))
  child.stderr.on('data', (part: Buffer) => parts[1].push(part))
  const [code] = (await once(child, 'close')) as [number | null]
  const [stdout, stderr] = parts.map((pieces) => Buffer.concat(pieces).toString())
  return { code, stdout: stdout ?? '', stderr: stderr ?? '' }
}

/** Runs it into a reader that takes one piece and leaves, like `head`. */
export async function runIntoClosedPipe(name: 'sst-dump' | 'moraine', ...args: string[]): Promise<Ended> {
  const child = spawn(fromRoot(`scripts/${name}`), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const closed = once(child, 'close') as Promise<[number | null]>
  let stderr = ''
  child.stderr.on('data', (part: Buffer) => (stderr += part.toString()))
  const [first] = (await once(child.stdout, 'data')) as [Buffer]
  child.stdout.destroy()
  const [code] = await closed
  return { code, stdout: first.toString(), stderr }
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
