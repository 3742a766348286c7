import { isMoraineError } from '@moraine/base'
import { type ObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import { blobFilesOf, type BlobFileUse, blobName, walkBlobFile } from 'moraine/inspect'
import { databaseUrl, storeAt } from '../source/store-location.ts'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { type Alignment, renderTable } from '../terminal/text-table.ts'
import { UsageError } from '../terminal/usage-error.ts'
import { newestManifest } from './newest-manifest.ts'

const HELP = `moraine blobs <database> [--walk] [--json]

Lists the blob files of the newest manifest, which hold values that were too large for tables: their sizes, how much of
each the tables still refer to, and how many parts of tables do.

  --walk       read every file from its header to its footer and check every record, also those that nothing refers to
               any more (moraine verify --deep checks what tables refer to)
  --json       for programs: one document

Exit code 1 when a walk finds damage.
`

const HEAD = ['BLOB FILE', 'SIZE', 'LIVE', 'TABLES']
const ALIGNMENTS: readonly Alignment[] = ['left', 'right', 'right', 'right', 'left']

/** What a walk found: the number of records, or what is wrong. */
type Walked = { readonly records: number; readonly valueBytes: number } | { readonly problem: string }

/** Lists blob files, and walks through them. */
export async function blobs(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    walk: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  const [target] = positionals
  if (target === undefined || positionals.length > 1) throw new UsageError('blobs takes one database (a URL or a folder)')
  const { version } = await newestManifest(target)
  const uses = [...blobFilesOf(version).values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  const walked = values.walk === true ? await walkAll(target, uses) : undefined
  const damaged = [...(walked?.values() ?? [])].some((found) => 'problem' in found)
  if (values.json === true) {
    const listed = uses.map((use) => ({ ...use, name: blobName(use.id), ...walked?.get(use) }))
    await output.line(JSON.stringify(listed, undefined, 2))
  } else if (uses.length === 0) {
    await output.line('no blob files: no value was large enough')
  } else {
    const rows = uses.map((use) => row(use, walked?.get(use)))
    for (const line of renderTable([walked === undefined ? HEAD : [...HEAD, 'RECORDS'], ...rows], ALIGNMENTS)) await output.line(line)
    const [size, live] = [uses.reduce((sum, use) => sum + use.sizeBytes, 0), uses.reduce((sum, use) => sum + use.liveBytes, 0)]
    await output.line(`${counted(uses.length, 'blob file')}, ${formatBytes(size)}, of which ${formatBytes(Math.min(live, size))} in use`)
  }
  return damaged ? ExitCode.problem : ExitCode.ok
}

function row(use: BlobFileUse, walked: Walked | undefined): string[] {
  const borrowed = use.origin === undefined ? '' : ` of ${use.origin.databaseId}`
  // What a cut table once referred to counts in full.
  const share = `${Math.min(100, Math.round((use.liveBytes / use.sizeBytes) * 100))} %`
  const cells = [`${blobName(use.id)}${borrowed}`, formatBytes(use.sizeBytes), share, formatCount(use.tables)]
  if (walked === undefined) return cells
  return [...cells, 'problem' in walked ? walked.problem : `${counted(walked.records, 'record')}, ${formatBytes(walked.valueBytes)} of values`]
}

async function walkAll(target: string, uses: readonly BlobFileUse[]): Promise<Map<BlobFileUse, Walked>> {
  const { store, prefix } = storeAt(databaseUrl(target))
  const walked = new Map<BlobFileUse, Walked>()
  try {
    const database = prefix === '' ? store : new PrefixedObjectStore(store, prefix)
    // What is borrowed lies elsewhere, and is for the database that wrote it.
    for (const use of uses) if (use.origin === undefined) walked.set(use, await walk(database, use))
    return walked
  } finally {
    await store.close()
  }
}

async function walk(store: ObjectStore, { id, sizeBytes }: BlobFileUse): Promise<Walked> {
  const name = blobName(id)
  try {
    const walking = walkBlobFile(store, name, sizeBytes)
    for (;;) {
      const step = await walking.next()
      if (step.done === true) return { records: step.value.records, valueBytes: step.value.valueBytes }
    }
  } catch (error) {
    if (!isMoraineError(error, 'CORRUPTION')) throw error
    return { problem: error.message }
  }
}
