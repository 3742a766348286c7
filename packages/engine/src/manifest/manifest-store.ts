import { type Clock, crc32c, isMoraineError, MoraineError, type Random } from '@moraine/base'
import { NumberedObjects, type ObjectStore, type RequestAccount } from '@moraine/object-store'
import type { ManifestId } from '../layout/numbers.ts'
import { baseName, type FileId, MANIFEST_PREFIX, manifestName, newFileId, parseManifestName } from '../layout/object-names.ts'
import { type BaseReference, type Manifest, manifestDefect } from './manifest.ts'
import {
  assembleManifest,
  decodeBase,
  decodeManifest,
  encodeBase,
  encodeManifest,
  SMALLEST_FILE_BYTES,
} from './manifest-codec.ts'
import type { TableFile } from './table-file.ts'
import type { Version } from './version.ts'
import type { LeveledFile } from './version-edit.ts'

/**
 * The commit protocol. Its order, and the reason for each step:
 *
 *   1. Data objects are uploaded before `commit` is called: a manifest never names a file that may not exist.
 *   2. If the file list has outgrown the manifest, the new base object is uploaded: same reason.
 *   3. Manifest n+1 is created if absent. This is the only commit there is. An unclear answer repeats the identical
 *      bytes until it is clear, so that a number is never skipped and never ours twice.
 *   4. One LIST: the newest manifest must be n+1. Create-if-absent has no memory: a writer that slept until its number
 *      had been used, superseded and collected would create it again. It finds a newer manifest here and is FENCED
 *      before it acknowledges anything.
 *
 * A writer that meets a manifest of another's at its number is FENCED as well: it lost the race to a takeover.
 */
export class ManifestStore {
  readonly #store: ObjectStore
  readonly #series: NumberedObjects
  readonly #random: Random
  readonly #inlineLimitBytes: number
  /** Files of the base object last read or written, so that a delta can be computed without reading it again. */
  #base: KnownBase | undefined
  /** Base objects of commits that have not ended well: a manifest that names them may come to exist. */
  readonly #unsettledBases = new Set<FileId>()
  /** The manifest of the last commit that was tried. */
  #encoded: EncodedManifest | undefined

  constructor(store: ObjectStore, options: { clock: Clock; random: Random; inlineLimitBytes?: number }) {
    this.#store = store
    this.#random = options.random
    this.#inlineLimitBytes = options.inlineLimitBytes ?? 384 * 1024
    this.#series = new NumberedObjects(
      store,
      { prefix: MANIFEST_PREFIX, name: (id) => manifestName(id as ManifestId), parse: parseManifestName },
      options,
    )
  }

  /**
   * The newest manifest; undefined when the prefix holds none. One LIST and one GET, or two with a base. CONFLICT when the
   * database is being destroyed.
   */
  async readNewest(signal?: AbortSignal): Promise<Manifest | undefined> {
    const newest = await this.readLast(signal)
    if (newest?.destroyed !== true) return newest
    throw new MoraineError('CONFLICT', `the database at ${this.#store.url} is being destroyed; call destroy again to finish that`)
  }

  /** Like `readNewest`, of a database that is being destroyed as well. */
  async readLast(signal?: AbortSignal): Promise<Manifest | undefined> {
    for (;;) {
      const id = await this.newestId(signal)
      if (id === undefined) return undefined
      try {
        const manifest = await this.read(id, signal)
        if (manifest !== undefined) return manifest
        // Collected between the LIST and the GET, which means that a newer one exists.
      } catch (error) {
        // So may its base have been, while the manifest is still kept for late openers.
        if (!isMoraineError(error, 'CORRUPTION') || (await this.newestId(signal)) === id) throw error
      }
    }
  }

  async newestId(signal?: AbortSignal, account?: RequestAccount): Promise<ManifestId | undefined> {
    return (await this.#series.newest(signal, account)) as ManifestId | undefined
  }

  /** Numbers of all manifests that exist, ascending. */
  async allIds(signal?: AbortSignal): Promise<ManifestId[]> {
    return (await this.#series.all(signal)) as ManifestId[]
  }

  async read(id: ManifestId, signal?: AbortSignal, account?: RequestAccount): Promise<Manifest | undefined> {
    const bytes = await this.#series.read(id, signal, account)
    if (bytes === undefined) return undefined
    const name = manifestName(id)
    const body = decodeManifest(bytes, name)
    if (body.header.id !== id) throw new MoraineError('CORRUPTION', `${name} holds manifest ${body.header.id}`)
    const baseFiles = body.base === undefined ? [] : await this.#readBase(body.base, signal, account)
    return assembleManifest(body, baseFiles, name)
  }

  /**
   * Commits a manifest; returns it as it was written (with its base reference). FENCED when another writer owns the
   * database now.
   */
  async commit(next: Manifest, signal?: AbortSignal, account?: RequestAccount): Promise<Manifest> {
    const outcome = await this.tryCommit(next, signal, account)
    if (outcome === undefined) {
      throw fencedError(`manifest ${next.id} was committed by another writer`, next, await this.#ownerOf(next.id, signal, account))
    }
    return outcome
  }

  /** Like `commit`, but undefined when another writer created the number first. */
  async tryCommit(next: Manifest, signal?: AbortSignal, account?: RequestAccount): Promise<Manifest | undefined> {
    const defect = manifestDefect(next)
    if (defect !== undefined) throw new MoraineError('INTERNAL', `refusing to commit a manifest that ${defect}`)
    const { manifest, bytes } = await this.#encodeOnce(next, signal, account)
    if ((await this.#series.create(next.id, bytes, signal, account)) === 'exists') return undefined
    await this.verifyNewest(manifest, signal, account)
    this.#unsettledBases.clear()
    return manifest
  }

  /** Throws FENCED unless `manifest` is the newest one: whoever committed it still owns the database. */
  async verifyNewest(manifest: Manifest, signal?: AbortSignal, account?: RequestAccount): Promise<void> {
    const newest = await this.newestId(signal, account)
    if (newest === manifest.id) return
    const owner = newest === undefined ? undefined : await this.#ownerOf(newest, signal, account)
    throw fencedError(`the newest manifest is ${newest ?? 'gone'}, not ${manifest.id}`, manifest, owner)
  }

  /** Base objects that no collector of this owner may touch, whatever the current manifest says. */
  get unsettledBases(): ReadonlySet<FileId> {
    return this.#unsettledBases
  }

  delete(ids: readonly ManifestId[], signal?: AbortSignal): Promise<void> {
    return this.#series.delete(ids, signal)
  }

  async #ownerOf(id: ManifestId, signal: AbortSignal | undefined, account: RequestAccount | undefined): Promise<string | undefined> {
    const bytes = await this.#series.read(id, signal, account)
    if (bytes === undefined) return undefined
    const { header } = decodeManifest(bytes, manifestName(id))
    return `epoch ${header.epoch}, ${header.owner}`
  }

  async #readBase(
    reference: BaseReference,
    signal: AbortSignal | undefined,
    account: RequestAccount | undefined,
  ): Promise<LeveledFile[]> {
    const name = baseName(reference.id)
    const body = await this.#store.get(name, { signal, account })
    if (body === undefined) throw new MoraineError('CORRUPTION', `${name} is missing, and a manifest needs it`)
    if (body.bytes.length !== reference.sizeBytes || crc32c(body.bytes) !== reference.crc32c) {
      throw new MoraineError('CORRUPTION', `${name} is not the object that the manifest names`)
    }
    const files = decodeBase(body.bytes, name)
    this.#base = new KnownBase(reference, files)
    return files
  }

  /** A commit that is tried again must be the same bytes, and so must not name another base object. */
  async #encodeOnce(
    next: Manifest,
    signal: AbortSignal | undefined,
    account: RequestAccount | undefined,
  ): Promise<EncodedManifest> {
    if (this.#encoded?.manifest.token === next.token) return this.#encoded
    return (this.#encoded = await this.#encode(next, signal, account))
  }

  /**
   * The whole list goes into the manifest while it is small. Past the limit it moves to a base object and manifests
   * carry only the difference, until that is too long as well and a new base is written.
   */
  async #encode(
    next: Manifest,
    signal: AbortSignal | undefined,
    account: RequestAccount | undefined,
  ): Promise<EncodedManifest> {
    const base = this.#base
    if (next.base !== undefined && base?.reference.id === next.base.id) {
      const { listed, dropped } = base.difference(next.version)
      const bytes = encodeManifest(next, listed, dropped)
      if (bytes.length <= this.#inlineLimitBytes) return { manifest: next, bytes }
    }
    const all = leveledFiles(next.version)
    if (all.length * SMALLEST_FILE_BYTES <= this.#inlineLimitBytes) {
      const whole: Manifest = { ...next, base: undefined }
      const bytes = encodeManifest(whole, all, [])
      if (bytes.length <= this.#inlineLimitBytes) return { manifest: whole, bytes }
    }
    const baseBytes = encodeBase(all)
    const id = newFileId(next.epoch, this.#random)
    this.#unsettledBases.add(id)
    await this.#store.put(baseName(id), baseBytes, { signal, account })
    const reference: BaseReference = { id, sizeBytes: baseBytes.length, crc32c: crc32c(baseBytes) }
    this.#base = new KnownBase(reference, all)
    const manifest: Manifest = { ...next, base: reference }
    return { manifest, bytes: encodeManifest(manifest, [], []) }
  }
}

interface EncodedManifest {
  readonly manifest: Manifest
  readonly bytes: Uint8Array
}

function leveledFiles(version: Version): LeveledFile[] {
  return version.levels.flatMap((files, level) => files.map((file) => ({ level, file })))
}

/** A base object and where its tables stand in its list. */
class KnownBase {
  readonly reference: BaseReference
  readonly #files: readonly LeveledFile[]
  /** Only who commits asks for it. */
  #places: ReadonlyMap<TableFile, number> | undefined

  constructor(reference: BaseReference, files: readonly LeveledFile[]) {
    this.reference = reference
    this.#files = files
  }

  /**
   * What a version has that the base lacks, and the places of the base that the version lacks. Tables are compared as
   * objects: a part cut smaller is another object, so it is both dropped and listed.
   */
  difference(version: Version): { listed: LeveledFile[]; dropped: number[] } {
    this.#places ??= new Map(this.#files.map(({ file }, place) => [file, place]))
    const kept = new Uint8Array(this.#files.length)
    const listed: LeveledFile[] = []
    for (const [level, files] of version.levels.entries()) {
      for (const file of files) {
        const place = this.#places.get(file)
        if (place !== undefined && this.#files[place]?.level === level) kept[place] = 1
        else listed.push({ level, file })
      }
    }
    const dropped: number[] = []
    for (let place = kept.indexOf(0); place >= 0; place = kept.indexOf(0, place + 1)) dropped.push(place)
    return { listed, dropped }
  }
}

function fencedError(what: string, ours: Manifest, owner: string | undefined): MoraineError {
  return new MoraineError(
    'FENCED',
    `another process has taken over this database (${what}${owner === undefined ? '' : `; it belongs to ${owner}`}); this handle will not write again: close it and open the database anew if it should be yours`,
    { detail: { epoch: ours.epoch, manifest: ours.id, owner } },
  )
}
