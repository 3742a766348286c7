import { blobFilesOf, countFiles, filesOf, type Manifest } from 'moraine/inspect'
import { ExitCode } from '../terminal/exit-code.ts'
import { counted, formatBytes, formatCount, formatTime } from '../terminal/figures.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { renderTable } from '../terminal/text-table.ts'
import { levelRows } from './level-rows.ts'
import { manifestJson } from './manifest-json.ts'
import { newestManifest } from './newest-manifest.ts'
import type { MoraineOptions } from './options.ts'

/** Prints the newest manifest. */
export async function manifest({ target, json, notation }: MoraineOptions, { output }: Terminal): Promise<ExitCode> {
  const newest = await newestManifest(target)
  const lines = json ? [JSON.stringify(manifestJson(newest, notation), undefined, 2)] : manifestText(newest)
  for (const line of lines) await output.line(line)
  return ExitCode.ok
}

function manifestText(newest: Manifest): string[] {
  const files = [...filesOf(newest.version)]
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const rows = [
    ['database', newest.databaseId],
    ['committed', formatTime(newest.committedAtMs)],
    ['epoch', formatCount(newest.epoch)],
    ['owner', `${newest.owner}${newest.released ? ', has closed it' : ', has it open (or did not close it)'}`],
    ['flushed up to', `sequence ${formatCount(newest.flushedSeq)}: everything up to here is in the tables`],
    ['used up to', `sequence ${formatCount(newest.lastSeq)}: no number up to here is given again`],
    ['local log', newest.walId ?? 'none'],
    ['tables', `${formatCount(countFiles(newest.version))}, ${formatBytes(bytes)}`],
  ]
  const blobFiles = [...blobFilesOf(newest.version).values()]
  if (blobFiles.length > 0) {
    const [size, live] = [blobFiles.reduce((sum, use) => sum + use.sizeBytes, 0), blobFiles.reduce((sum, use) => sum + use.liveBytes, 0)]
    rows.push(['blob files', `${formatCount(blobFiles.length)}, ${formatBytes(size)}, of which ${formatBytes(Math.min(size, live))} in use`])
  }
  if (newest.base !== undefined) rows.push(['file list', `base/${newest.base.id}.base, ${formatBytes(newest.base.sizeBytes)}, and what differs from it`])
  for (const { epoch, firstSegment } of newest.walEpochs) {
    rows.push(['log in the store', `epoch ${epoch}, from segment ${firstSegment} on`])
  }
  for (const keyspace of newest.keyspaces) {
    const text = keyspaceSettingsText(keyspace)
    if (text !== undefined) rows.push(['keyspace', text])
  }
  for (const checkpoint of newest.checkpoints) rows.push(['checkpoint', checkpointText(checkpoint)])
  for (const { origin, manifestId } of newest.origins) {
    const { place } = origin
    rows.push(['borrows from', `${place.kind === 'url' ? place.url : place.prefix}, database ${origin.databaseId}, manifest ${manifestId}`])
  }
  const levels = levelRows(newest.version)
  return [
    `Manifest ${formatCount(newest.id)}`,
    ...renderTable(rows).map((line) => `  ${line}`),
    ...(levels.length > 1 ? ['', ...levels] : ['', `${counted(0, 'table')}: nothing has been flushed`]),
  ]
}

/** Undefined for the default keyspace as long as nothing is remembered of it. */
function keyspaceSettingsText({ name, mergeOperator, ttlMs }: Manifest['keyspaces'][number]): string | undefined {
  const facts = [
    ...(mergeOperator === undefined ? [] : [`merge operator '${mergeOperator.name}' version ${mergeOperator.version}`]),
    ...(ttlMs === Number.POSITIVE_INFINITY ? [] : [`entries live ${formatCount(ttlMs)} ms`]),
  ]
  if (name === '') return facts.length === 0 ? undefined : `(default): ${facts.join(', ')}`
  return facts.length === 0 ? name : `${name}: ${facts.join(', ')}`
}

function checkpointText({ id, name, manifestId, createdAtMs, expiresAtMs }: Manifest['checkpoints'][number]): string {
  const label = name === undefined ? id : `${id} '${name}'`
  const expiry = expiresAtMs === undefined ? '' : `, until ${formatTime(expiresAtMs)}`
  return `${label}, manifest ${manifestId}, of ${formatTime(createdAtMs)}${expiry}`
}
