import { isMoraineError, MoraineError, printableBytes } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { parseSstTail, type RandomAccess, SstReader } from '@moraine/sstable'
import type { ManifestId } from '../layout/numbers.ts'
import { manifestName, sstName } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import { type Origin, originKey } from '../manifest/origin.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { filesOf } from '../manifest/version.ts'
import { listPinsTwice, planGarbage } from './collector.ts'
import { type DataObject, keptManifests } from './reachability.ts'

export interface VerifyRequest {
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  /** The prefix that the tables of an origin lie in; the database's own for undefined. */
  readonly storeOf: (origin: Origin | undefined) => ObjectStore
  /** Read every block of every table, instead of the metadata at its end. */
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

export interface VerifyProblem {
  /** The object that is missing or damaged, relative to the prefix of its database. */
  readonly object: string
  readonly missing: boolean
  /** A whole sentence: what is wrong, and which keys that concerns. */
  readonly message: string
  /** First and last key of a table, as text for people. */
  readonly keys?: { readonly smallest: string; readonly largest: string } | undefined
  /** Manifests that need it. */
  readonly neededBy: readonly ManifestId[]
}

/** What a verification found. Sizes in bytes. */
export interface VerifyReport {
  readonly states: readonly VerifiedState[]
  readonly problems: readonly VerifyProblem[]
  readonly tables: number
  readonly sizeBytes: number
  readonly deep: boolean
  /** Objects that nothing refers to: not a problem, only space. Undefined when they were not asked for. */
  readonly orphans: readonly DataObject[] | undefined
}

const TABLES_AT_ONCE = 8
const WINDOW_BYTES = 4 * 1024 * 1024

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
  const needed = tablesOf(roots)
  await checkTables([...needed.values()], request, problems)
  const broken = new Set(problems.flatMap(({ neededBy }) => neededBy))
  const orphans = request.orphans
    ? (await planGarbage({ store, manifests, rules: { graceMs: 0, force: true }, signal })).objects
    : undefined
  const report: VerifyReport = {
    states: statesOf(newest, kept, broken),
    problems,
    tables: needed.size,
    sizeBytes: [...needed.values()].reduce((bytes, { file }) => bytes + file.sizeBytes, 0),
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

/** Each table once, however many manifests and parts name it. */
function tablesOf(roots: ReadonlyMap<ManifestId, Manifest>): Map<string, NeededTable> {
  const needed = new Map<string, NeededTable>()
  for (const [id, { version }] of roots) {
    for (const file of filesOf(version)) {
      const key = `${file.origin === undefined ? '' : originKey(file.origin)} ${file.id}`
      const known = needed.get(key)
      if (known === undefined) needed.set(key, { file, neededBy: [id] })
      else if (known.neededBy.at(-1) !== id) known.neededBy.push(id)
    }
  }
  return needed
}

async function checkTables(tables: readonly NeededTable[], request: VerifyRequest, problems: VerifyProblem[]): Promise<void> {
  const bytesOf = ({ file }: NeededTable): number => (request.deep ? file.sizeBytes : file.sizeBytes - file.tailOffset)
  const totalBytes = tables.reduce((bytes, table) => bytes + bytesOf(table), 0)
  let readBytes = 0
  let at = 0
  const worker = async (): Promise<void> => {
    for (let table = tables[at++]; table !== undefined; table = tables[at++]) {
      problems.push(...(await checkTable(table, request)))
      readBytes += bytesOf(table)
      request.onProgress?.({ totalBytes, readBytes })
    }
  }
  await Promise.all(Array.from({ length: TABLES_AT_ONCE }, worker))
}

async function checkTable({ file, neededBy }: NeededTable, request: VerifyRequest): Promise<VerifyProblem[]> {
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
    const reader = await SstReader.open(new TableWindow(store, name, file.sizeBytes, request.signal), name)
    const { problems } = await reader.check()
    return problems.length === 0 ? [] : problem(false, `${name} is damaged: ${problems.join('; ')}`)
  } catch (error) {
    if (!isMoraineError(error, 'CORRUPTION')) throw error
    return problem(false, error.message)
  }
}

/** A table that is read from its beginning to its end, in large requests. */
class TableWindow implements RandomAccess {
  readonly sizeBytes: number
  readonly #store: ObjectStore
  readonly #name: string
  readonly #signal: AbortSignal | undefined
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)

  constructor(store: ObjectStore, name: string, sizeBytes: number, signal: AbortSignal | undefined) {
    this.#store = store
    this.#name = name
    this.sizeBytes = sizeBytes
    this.#signal = signal
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset < this.#start || offset + length > this.#start + this.#bytes.length) {
      const range = { offset, length: Math.max(length, Math.min(WINDOW_BYTES, this.sizeBytes - offset)) }
      const body = await this.#store.get(this.#name, { range, signal: this.#signal })
      if (body === undefined) throw new MoraineError('CORRUPTION', `${this.#name} has just vanished`)
      this.#start = offset
      this.#bytes = body.bytes
    }
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + length)
  }
}
