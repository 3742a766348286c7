import { isMoraineError, MoraineError, printableBytes } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { parseSstTail, SstReader } from '@moraine/sstable'
import type { ManifestId } from '../layout/numbers.ts'
import { BLOB_FOOTER_BYTES } from '../blob/blob-format.ts'
import { type FileId, manifestName, sstName } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { type Origin, originKey } from '../manifest/origin.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { filesOf } from '../manifest/version.ts'
import { listPinsTwice, planGarbage } from './collector.ts'
import { type DataObject, keptManifests } from './reachability.ts'
import { StoredFileWindow } from './stored-file-window.ts'
import { checkBlobFile, checkReferences, type NeededBlob, neededBlobs } from './verify-blobs.ts'
import type { VerifyProblem } from './verify-problem.ts'

export interface VerifyRequest {
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  /** The prefix that the tables of an origin lie in; the database's own for undefined. */
  readonly storeOf: (origin: Origin | undefined) => ObjectStore
  /** Read every block of every table and every value in blob files, instead of the metadata at their ends. */
  readonly deep: boolean
  /** Also list what nothing refers to. */
  readonly orphans: boolean
  readonly signal?: AbortSignal | undefined
  /** Tells how much there is to read, and of every table that has been read. */
  readonly onProgress?: ((progress: { readonly totalBytes: number; readonly readBytes: number }) => void) | undefined
}

/** A state that can be read: the present one, or that of a checkpoint or a pin. */
export interface VerifiedState {
  readonly what: 'newest' | 'checkpoint' | 'pin'
  readonly manifestId: ManifestId
  /** Checkpoints only. */
  readonly checkpointId?: string | undefined
  readonly name?: string | undefined
  /** Everything it needs is there and sound. */
  readonly whole: boolean
}

/** What a verification found. Sizes in bytes. */
export interface VerifyReport {
  readonly states: readonly VerifiedState[]
  readonly problems: readonly VerifyProblem[]
  readonly tables: number
  /** Blob files. */
  readonly blobs: number
  /** Of tables and blob files. */
  readonly sizeBytes: number
  readonly deep: boolean
  /** Objects that nothing refers to: not a problem, only space. Undefined when they were not asked for. */
  readonly orphans: readonly DataObject[] | undefined
}

const FILES_AT_ONCE = 8

/**
 * Reads everything that the newest manifest, the checkpoints and the pins of a database refer to, and says what is
 * missing or damaged, whose keys that are, and which states are whole all the same. Never stops at the first problem.
 */
export async function verifyDatabase(request: VerifyRequest): Promise<VerifyReport> {
  for (let attempt = 1; ; attempt++) {
    const { report, newest } = await verifyOnce(request)
    // What a running writer has replaced and collected meanwhile is not missed by anybody.
    const moved = report.problems.length > 0 && (await request.manifests.newestId(request.signal)) !== newest
    if (!moved || attempt === ATTEMPTS) return report
  }
}

const ATTEMPTS = 5

async function verifyOnce(request: VerifyRequest): Promise<{ report: VerifyReport; newest: ManifestId }> {
  const { store, manifests, signal } = request
  const problems: VerifyProblem[] = []
  const newest = await manifests.readNewest(signal)
  if (newest === undefined) throw new MoraineError('INVALID', `there is no database at ${store.url}`)
  const { pins, storeTimeMs } = await listPinsTwice(store, signal)
  const kept = keptManifests(newest, pins, storeTimeMs, [])
  const roots = new Map<ManifestId, Manifest>([[newest.id, newest]])
  for (const id of kept) {
    const root = await readManifest(manifests, id, problems, signal)
    if (root !== undefined) roots.set(id, root)
  }
  const ownKept = keptManifests(newest, pins.filter(({ holder }) => holder.kind !== 'clone'), storeTimeMs, [])
  const isOwn = (id: ManifestId): boolean => id === newest.id || ownKept.has(id)
  const needed = [...tablesOf(roots, isOwn).values()]
  const blobs = neededBlobs(roots, isOwn)
  problems.push(...(await checkFiles(needed, blobs, request)))
  const broken = new Set(problems.flatMap(({ neededBy }) => neededBy))
  const orphans = request.orphans
    ? (await planGarbage({ store, manifests, rules: { graceMs: 0, force: true }, signal })).objects
    : undefined
  const report: VerifyReport = {
    states: statesOf(newest, kept, broken),
    problems,
    tables: needed.length,
    blobs: blobs.size,
    sizeBytes: [...needed.map(({ file }) => file), ...[...blobs.values()].map(({ link }) => link)].reduce(
      (bytes, { sizeBytes }) => bytes + sizeBytes,
      0,
    ),
    deep: request.deep,
    orphans,
  }
  return { report, newest: newest.id }
}

function statesOf(newest: Manifest, kept: ReadonlySet<ManifestId>, broken: ReadonlySet<ManifestId>): VerifiedState[] {
  const whole = (manifestId: ManifestId): { manifestId: ManifestId; whole: boolean } => ({ manifestId, whole: !broken.has(manifestId) })
  const states: VerifiedState[] = [{ what: 'newest', ...whole(newest.id) }]
  const checkpointed = new Set<ManifestId>()
  for (const { id, name, manifestId } of newest.checkpoints) {
    checkpointed.add(manifestId)
    states.push({ what: 'checkpoint', checkpointId: id, name, ...whole(manifestId) })
  }
  for (const id of kept) if (!checkpointed.has(id)) states.push({ what: 'pin', ...whole(id) })
  return states
}

async function readManifest(
  manifests: ManifestStore,
  id: ManifestId,
  problems: VerifyProblem[],
  signal: AbortSignal | undefined,
): Promise<Manifest | undefined> {
  const object = manifestName(id)
  try {
    const manifest = await manifests.read(id, signal)
    if (manifest !== undefined) return manifest
    problems.push({ object, missing: true, message: `${object} is missing`, neededBy: [id] })
  } catch (error) {
    if (!isMoraineError(error, 'CORRUPTION')) throw error
    problems.push({ object, missing: false, message: error.message, neededBy: [id] })
  }
  return undefined
}

interface NeededTable {
  readonly file: TableFile
  readonly neededBy: ManifestId[]
}

/**
 * Each table once, however many manifests and parts name it. A manifest that only clones keep must have its own tables; those
 * that it borrowed in its turn a clone pins directly, as long as it needs them, and then this database may have let go of them.
 */
function tablesOf(roots: ReadonlyMap<ManifestId, Manifest>, isOwn: (id: ManifestId) => boolean): Map<string, NeededTable> {
  const needed = new Map<string, NeededTable>()
  for (const [id, { version }] of roots) {
    for (const file of filesOf(version)) {
      if (file.origin !== undefined && !isOwn(id)) continue
      const key = `${file.origin === undefined ? '' : originKey(file.origin)} ${file.id}`
      const known = needed.get(key)
      if (known === undefined) needed.set(key, { file, neededBy: [id] })
      else if (known.neededBy.at(-1) !== id) known.neededBy.push(id)
    }
  }
  return needed
}

/** What is wrong with any of them: blob files first, so that no reference into a broken one is followed. */
async function checkFiles(
  tables: readonly NeededTable[],
  blobs: ReadonlyMap<FileId, NeededBlob>,
  request: VerifyRequest,
): Promise<VerifyProblem[]> {
  const { deep } = request
  const problems: VerifyProblem[] = []
  const broken = new Set<FileId>()
  const valueBytes = ({ file }: NeededTable): number => (file.blobs ?? []).reduce((bytes, { liveBytes }) => bytes + liveBytes, 0)
  const tableBytes = (table: NeededTable): number => {
    const { sizeBytes, tailOffset } = table.file
    return deep ? sizeBytes + valueBytes(table) : sizeBytes - tailOffset
  }
  const totalBytes = tables.reduce((bytes, table) => bytes + tableBytes(table), blobs.size * BLOB_FOOTER_BYTES)
  let readBytes = 0
  const checked = (found: readonly VerifyProblem[], bytes: number): void => {
    problems.push(...found)
    readBytes += bytes
    request.onProgress?.({ totalBytes, readBytes })
  }
  await atOnce([...blobs.values()], async (blob) => {
    const problem = await checkBlobFile(blob, request)
    if (problem !== undefined) broken.add(blob.link.id)
    checked(problem === undefined ? [] : [problem], BLOB_FOOTER_BYTES)
  })
  await atOnce(tables, async (table) => {
    checked(await checkTable(table, { blobs, broken }, request), tableBytes(table))
  })
  return problems
}

async function atOnce<Item>(items: readonly Item[], check: (item: Item) => Promise<void>): Promise<void> {
  let at = 0
  const lane = async (): Promise<void> => {
    for (let item = items[at++]; item !== undefined; item = items[at++]) await check(item)
  }
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, lane))
}

async function checkTable(
  { file, neededBy }: NeededTable,
  { blobs, broken }: { readonly blobs: ReadonlyMap<FileId, NeededBlob>; readonly broken: Set<FileId> },
  request: VerifyRequest,
): Promise<VerifyProblem[]> {
  const name = sstName(file.id)
  const keys = { smallest: printableBytes(file.smallestKey, 64), largest: printableBytes(file.largestKey, 64) }
  const problem = (missing: boolean, what: string): VerifyProblem[] => {
    const message = `${what}; it holds ${file.entryCount} entries of keys '${keys.smallest}' to '${keys.largest}'`
    return [{ object: name, missing, message, keys, neededBy }]
  }
  try {
    const store = request.storeOf(file.origin)
    const tailBytes = file.sizeBytes - file.tailOffset
    const tail = await store.get(name, { range: { offset: file.tailOffset, length: tailBytes }, signal: request.signal })
    if (tail === undefined) return problem(true, `${name} is missing from ${store.url}`)
    if (tail.objectSizeBytes !== file.sizeBytes) {
      return problem(false, `${name} has ${tail.objectSizeBytes} bytes, but the manifest says ${file.sizeBytes}`)
    }
    parseSstTail(tail.bytes, { name, sizeBytes: file.sizeBytes, tailOffset: file.tailOffset, tailCrc32c: file.tailCrc32c })
    if (!request.deep) return []
    const reader = await SstReader.open(new StoredFileWindow(store, name, file.sizeBytes, request.signal), name)
    const { problems } = await reader.check()
    if (problems.length > 0) return problem(false, `${name} is damaged: ${problems.join('; ')}`)
    return await checkReferences(reader, file, blobs, broken, request)
  } catch (error) {
    if (!isMoraineError(error, 'CORRUPTION')) throw error
    return problem(false, error.message)
  }
}
