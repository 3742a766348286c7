import { systemClock, systemRandom } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { open } from 'moraine'
import {
  type CheckpointRecord,
  diffVersions,
  findListedCheckpoint,
  type Manifest,
  ManifestStore,
  outsideCheckpoints,
  releasePin,
} from 'moraine/inspect'
import { parseCommandLine } from '../terminal/command-line.ts'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount, formatTime } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { renderTable } from '../terminal/text-table.ts'
import { UsageError } from '../terminal/usage-error.ts'
import { type DatabaseAt, onDatabase } from './on-database.ts'

const HELP = `moraine checkpoints <database> [--json]
moraine checkpoints <database> --diff=A[,B] [--json]
moraine checkpoints <database> --delete=A [--takeover]

Lists the checkpoints of a database: those its writer took, and those taken beside it with moraine checkpoint.

  --diff=A,B   how two checkpoints differ in files: in both, only in B, only in A; without B the newest state
  --delete=A   gives a checkpoint up. One that the writer took stands in the manifest, which only the owner changes: this
               command then opens the database, if its owner has closed it
  --takeover   ... or takes it from an owner that has not. A running writer is fenced, and what only its local log holds is
               not replayed any more
  --json       for programs: one document

A and B are ids or names.
`

export async function checkpoints(args: readonly string[], { output }: Terminal): Promise<ExitCode> {
  const { values, positionals } = parseCommandLine(args, {
    diff: { type: 'string' },
    delete: { type: 'string' },
    takeover: { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const)
  if (values.help === true) {
    await output.line(HELP.trimEnd())
    return ExitCode.ok
  }
  if (values.diff !== undefined && values.delete !== undefined) throw new UsageError('--diff or --delete, not both')
  if (values.takeover === true && values.delete === undefined) throw new UsageError('--takeover goes with --delete')
  return await onDatabase('checkpoints', positionals, async (location) => {
    const { database } = location
    const manifests = new ManifestStore(database, { clock: systemClock, random: systemRandom })
    const newest = await manifests.readNewest()
    if (newest === undefined) throw new UsageError(`there is no database at ${database.url}`)
    let lines: string[]
    if (values.delete !== undefined) lines = await deleted(location, newest, values.delete, values.takeover ?? false)
    else if (values.diff !== undefined) lines = await difference(database, manifests, newest, values.diff, values.json ?? false)
    else lines = await list(database, newest, values.json ?? false)
    for (const line of lines) await output.line(line)
    return ExitCode.ok
  })
}

async function list(database: ObjectStore, newest: Manifest, json: boolean): Promise<string[]> {
  const nowMs = systemClock.nowMs()
  const all = [
    ...newest.checkpoints.map((checkpoint) => ({ checkpoint, taken: 'writer' })),
    ...(await outsideCheckpoints(database)).map(({ checkpoint }) => ({ checkpoint, taken: 'outside' })),
  ]
  if (json) return [JSON.stringify(all.map(({ checkpoint, taken }) => ({ ...shown(checkpoint), taken })), undefined, 2)]
  if (all.length === 0) return ['No checkpoints']
  const rows = all.map(({ checkpoint, taken }) => [
    checkpoint.id,
    checkpoint.name ?? '',
    formatCount(checkpoint.manifestId),
    formatTime(checkpoint.createdAtMs),
    expiryText(checkpoint, nowMs),
    taken,
    checkpoint.metadata === 'null' ? '' : checkpoint.metadata,
  ])
  return renderTable([['ID', 'NAME', 'MANIFEST', 'CREATED', 'EXPIRES', 'TAKEN BY', 'METADATA'], ...rows])
}

/** By this machine's clock, which is not the one that counts: the owner's. */
function expiryText({ expiresAtMs }: CheckpointRecord, nowMs: number): string {
  if (expiresAtMs === undefined) return 'never'
  return expiresAtMs <= nowMs ? 'with the next commit' : formatTime(expiresAtMs)
}

function shown({ id, name, manifestId, createdAtMs, expiresAtMs, metadata }: CheckpointRecord): object {
  return { id, name: name ?? null, manifestId, createdAtMs, expiresAtMs: expiresAtMs ?? null, metadata: JSON.parse(metadata) as unknown }
}

async function difference(
  database: ObjectStore,
  manifests: ManifestStore,
  newest: Manifest,
  wanted: string,
  json: boolean,
): Promise<string[]> {
  const names = wanted.split(',')
  if (names.length > 2) throw new UsageError('--diff takes one or two checkpoints, separated by a comma')
  const [from, to] = await Promise.all(names.map((name) => stateOf(database, manifests, newest, name)))
  const diff = diffVersions((from as Manifest).version, (to ?? newest).version)
  if (json) return [JSON.stringify(diff, undefined, 2)]
  const [a, b] = [names[0] as string, names[1] ?? 'the newest state']
  const row = (label: string, { files, sizeBytes }: { files: number; sizeBytes: number }): string[] => [
    label,
    counted(files, 'file'),
    formatBytes(sizeBytes),
  ]
  return renderTable([row('in both', diff.shared), row(`only in ${b}`, diff.added), row(`only in ${a}`, diff.gone)])
}

async function stateOf(database: ObjectStore, manifests: ManifestStore, newest: Manifest, name: string): Promise<Manifest> {
  const { checkpoint } = await findListedCheckpoint(database, newest, name)
  const manifest = await manifests.read(checkpoint.manifestId)
  if (manifest === undefined) throw new UsageError(`the checkpoint '${name}' was deleted meanwhile`)
  return manifest
}

async function deleted(
  { store, prefix, database }: DatabaseAt,
  newest: Manifest,
  name: string,
  takeover: boolean,
): Promise<string[]> {
  const { checkpoint, pin } = await findListedCheckpoint(database, newest, name)
  if (pin !== undefined) {
    await releasePin(database, pin)
  } else {
    const db = await open({ store, prefix }, { wal: 'none', takeover: takeover ? 'steal' : 'fail', createIfMissing: false })
    try {
      await db.deleteCheckpoint(checkpoint.id)
    } finally {
      await db.close()
    }
  }
  return [`Deleted checkpoint ${checkpoint.id}${checkpoint.name === undefined ? '' : ` '${checkpoint.name}'`}`]
}
