import { spawnSync } from 'node:child_process'

/** Everything a tool said. RocksDB's tools exit with 0 after reporting corruption, so the text decides. */
export interface ToolOutput {
  readonly exitCode: number | null
  readonly stdout: string
  /** stdout and stderr together. */
  readonly text: string
}

const MAX_OUTPUT_BYTES = 512 * 1024 * 1024
const COMPLAINT = /corrupt|mismatch|error|fail|invalid|not ok|bad |unable|could not|cannot|unknown/i

/** RocksDB's own programs, the outside judges of the table format. */
export class RocksDbTools {
  readonly #sstDumpPath: string
  readonly #ldbPath: string

  constructor(sstDumpPath: string, ldbPath: string) {
    this.#sstDumpPath = sstDumpPath
    this.#ldbPath = ldbPath
  }

  sstDump(options: readonly string[]): ToolOutput {
    return run(this.#sstDumpPath, options)
  }

  /** @param input becomes stdin: `load` and `write_extern_sst` read `key ==> value` lines there. */
  ldb(options: readonly string[], input?: string): ToolOutput {
    return run(this.#ldbPath, options, input)
  }
}

/** The lines of an output that report trouble. Ask for hexadecimal output, lest user data looks like a complaint. */
export function complaints(output: ToolOutput): string[] {
  const lines = output.text.split('\n').filter((line) => COMPLAINT.test(line))
  if (output.exitCode !== 0) lines.push(`exit code ${output.exitCode}`)
  return lines
}

/** One line of `sst_dump --command=scan --output_hex`, in lower-case hexadecimal. */
export interface ScannedEntry {
  readonly key: string
  readonly seq: number
  readonly kind: number
  readonly value: string
}

export function parseScan(output: ToolOutput): ScannedEntry[] {
  const entries: ScannedEntry[] = []
  for (const line of output.stdout.split('\n')) {
    const match = /^'([0-9A-Fa-f]*)' seq:(\d+), type:(\d+) => ([0-9A-Fa-f]*)\s*$/.exec(line)
    if (match === null) continue
    const [, key, seq, kind, value] = match as unknown as [string, string, string, string, string]
    entries.push({ key: key.toLowerCase(), seq: Number(seq), kind: Number(kind), value: value.toLowerCase() })
  }
  return entries
}

function run(path: string, options: readonly string[], input = ''): ToolOutput {
  const result = spawnSync(path, options, { input, encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES })
  if (result.error !== undefined) throw result.error
  return { exitCode: result.status, stdout: result.stdout, text: `${result.stdout}\n${result.stderr}` }
}
