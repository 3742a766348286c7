import { ByteReader, ByteWriter, crc32c, MoraineError } from '@moraine/base'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { type FileId, isFileId, isJobId } from '../layout/object-names.ts'
import { type BaseReference, type CheckpointRecord, type CompactionJob, type Manifest, manifestDefect, type WalEpoch } from './manifest.ts'
import { decodeSemantics, encodeSemantics } from './semantics-codec.ts'
import type { Origin, OriginPin } from './origin.ts'
import { decodeOrigin, encodeOrigin, shared } from './origin-codec.ts'
import { contentFlags, decodeContents, encodeContents } from './table-contents-codec.ts'
import type { TableFile } from './table-file.ts'
import { LEVEL_COUNT } from './version.ts'
import type { LeveledFile } from './version-edit.ts'

/**
 * The manifest object:
 *
 *     magic "MORAMAN1" | format version u32 | section* | crc32c u32 (of everything before it)
 *     section = tag u8 | length u32 | payload
 *
 *     1 header     id, epoch, token, database id, time, flushed and last sequence, flags, WAL id, owner
 *     2 files      tables that this manifest lists itself: count, then (level u8, table)*
 *     3 base       (optional) the object that lists the other tables: id, size, crc32c
 *     4 dropped    (with base) tables of the base that are gone: count, then their places in its list
 *     5 checkpoints
 *     6 wal        epochs of object-store logs that are still to be replayed
 *     7 origins    pins that a clone holds in the databases whose tables it names
 *     8 jobs       compactions offered to remote compactors
 *     9 semantics  the time of expiry, and what is remembered of keyspaces: merge operators and default TTLs
 *
 * A tag with the high bit set may be skipped by a reader that does not know it; any other unknown tag is refused, so
 * that an old program never misreads a database of a newer one. The base object is the same frame with the magic
 * "MORABAS1" and section 2 only.
 */
const MANIFEST_MAGIC = 'MORAMAN1'
const BASE_MAGIC = 'MORABAS1'
export const MANIFEST_FORMAT_VERSION = 1

const SECTION_HEADER = 1
const SECTION_FILES = 2
const SECTION_BASE = 3
const SECTION_DROPPED = 4
const SECTION_CHECKPOINTS = 5
const SECTION_WAL = 6
const SECTION_ORIGINS = 7
const SECTION_JOBS = 8
const SECTION_SEMANTICS = 9
const LAST_SECTION = SECTION_SEMANTICS
const SKIPPABLE = 0x80

const FLAG_RELEASED = 1
const FLAG_WAL = 2
const FLAG_DESTROYED = 4

/** The bytes of a manifest that lists `listed` itself and takes the rest, less `dropped`, from its base. */
export function encodeManifest(manifest: Manifest, listed: readonly LeveledFile[], dropped: readonly number[]): Uint8Array {
  const writer = new ByteWriter(1024)
  frameStart(writer, MANIFEST_MAGIC)
  section(writer, SECTION_HEADER, () => {
    writer.u64(manifest.id).u64(manifest.epoch).text(manifest.token).text(manifest.databaseId)
    writer.u64(manifest.committedAtMs).u64(manifest.flushedSeq).u64(manifest.lastSeq)
    writer.u8(
      (manifest.released ? FLAG_RELEASED : 0) |
        (manifest.walId === undefined ? 0 : FLAG_WAL) |
        (manifest.destroyed === true ? FLAG_DESTROYED : 0),
    )
    writer.text(manifest.walId ?? '').text(manifest.owner)
  })
  section(writer, SECTION_FILES, () => encodeFiles(writer, listed))
  if (manifest.checkpoints.length > 0) {
    section(writer, SECTION_CHECKPOINTS, () => encodeCheckpoints(writer, manifest.checkpoints))
  }
  if (manifest.walEpochs.length > 0) {
    section(writer, SECTION_WAL, () => {
      writer.varint(manifest.walEpochs.length)
      for (const { epoch, firstSegment } of manifest.walEpochs) writer.u64(epoch).u64(firstSegment)
    })
  }
  if (manifest.origins.length > 0) section(writer, SECTION_ORIGINS, () => encodeOriginPins(writer, manifest.origins))
  if (manifest.jobs.length > 0) {
    section(writer, SECTION_JOBS, () => {
      writer.varint(manifest.jobs.length)
      for (const { id, work } of manifest.jobs) writer.text(id).text(work)
    })
  }
  if (manifest.keyspaces.length > 0 || manifest.ttlNowMs > 0) {
    section(writer, SECTION_SEMANTICS, () => encodeSemantics(writer, manifest))
  }
  const base = manifest.base
  if (base !== undefined) {
    section(writer, SECTION_BASE, () => {
      writer.text(base.id).u64(base.sizeBytes).u32(base.crc32c)
    })
    section(writer, SECTION_DROPPED, () => {
      writer.varint(dropped.length)
      for (const ordinal of dropped) writer.varint(ordinal)
    })
  }
  return frameEnd(writer)
}

export function encodeBase(files: readonly LeveledFile[]): Uint8Array {
  const writer = new ByteWriter(files.length * 160 + 64)
  frameStart(writer, BASE_MAGIC)
  section(writer, SECTION_FILES, () => encodeFiles(writer, files))
  return frameEnd(writer)
}

/** What a manifest object says before its base, if it has one, is read. */
export interface ManifestBody {
  readonly header: Omit<Manifest, 'version' | 'base'>
  readonly listed: readonly LeveledFile[]
  readonly base: BaseReference | undefined
  /** Places in the base's list, from 0. */
  readonly dropped: readonly number[]
}

/** Decodes and verifies a manifest object; anything wrong is CORRUPTION naming `name`. */
export function decodeManifest(bytes: Uint8Array, name: string): ManifestBody {
  const sections = readFrame(bytes, MANIFEST_MAGIC, name)
  const headerBytes = sections.get(SECTION_HEADER)
  const fileBytes = sections.get(SECTION_FILES)
  if (headerBytes === undefined || fileBytes === undefined) {
    throw new MoraineError('CORRUPTION', `${name} lacks its header or its file list`)
  }
  const reader = new ByteReader(headerBytes, name)
  const id = reader.u64() as ManifestId
  const epoch = reader.u64() as Epoch
  const token = reader.text()
  const databaseId = reader.text()
  const committedAtMs = reader.u64()
  const flushedSeq = reader.u64()
  const lastSeq = reader.u64()
  const flags = reader.u8()
  const walId = reader.text()
  const owner = reader.text()
  reader.expectEnd()
  const checkpointBytes = sections.get(SECTION_CHECKPOINTS)
  const walBytes = sections.get(SECTION_WAL)
  const originBytes = sections.get(SECTION_ORIGINS)
  const jobBytes = sections.get(SECTION_JOBS)
  const semanticsBytes = sections.get(SECTION_SEMANTICS)
  const baseBytes = sections.get(SECTION_BASE)
  const droppedBytes = sections.get(SECTION_DROPPED)
  return {
    header: {
      id,
      epoch,
      token,
      databaseId,
      committedAtMs,
      flushedSeq,
      lastSeq,
      walId: (flags & FLAG_WAL) === 0 ? undefined : walId,
      released: (flags & FLAG_RELEASED) !== 0,
      destroyed: (flags & FLAG_DESTROYED) !== 0,
      owner,
      checkpoints: checkpointBytes === undefined ? [] : decodeCheckpoints(checkpointBytes, name),
      walEpochs: walBytes === undefined ? [] : decodeWalEpochs(walBytes, name),
      origins: originBytes === undefined ? [] : decodeOriginPins(originBytes, name),
      jobs: jobBytes === undefined ? [] : decodeJobs(jobBytes, name),
      ...(semanticsBytes === undefined ? { keyspaces: [], ttlNowMs: 0 } : decodeSemantics(semanticsBytes, name)),
    },
    listed: decodeFiles(fileBytes, name),
    base: baseBytes === undefined ? undefined : decodeBaseReference(baseBytes, name),
    dropped: droppedBytes === undefined ? [] : decodeDropped(droppedBytes, name),
  }
}

export function decodeBase(bytes: Uint8Array, name: string): LeveledFile[] {
  const fileBytes = readFrame(bytes, BASE_MAGIC, name).get(SECTION_FILES)
  if (fileBytes === undefined) throw new MoraineError('CORRUPTION', `${name} lacks its file list`)
  return decodeFiles(fileBytes, name)
}

/** Puts a manifest together from its body and the files of its base; CORRUPTION when an invariant does not hold. */
export function assembleManifest(body: ManifestBody, baseFiles: readonly LeveledFile[], name: string): Manifest {
  const dropped = new Set(body.dropped)
  const levels: TableFile[][] = Array.from({ length: LEVEL_COUNT }, () => [])
  for (const [i, { level, file }] of baseFiles.entries()) if (!dropped.has(i)) (levels[level] as TableFile[]).push(file)
  for (const { level, file } of body.listed) (levels[level] as TableFile[]).push(file)
  sortLevels(levels)
  const manifest: Manifest = { ...body.header, version: { levels }, base: body.base }
  const defect = manifestDefect(manifest)
  if (defect !== undefined) throw new MoraineError('CORRUPTION', `${name} ${defect}`)
  return manifest
}

function sortLevels(levels: TableFile[][]): void {
  for (const [level, files] of levels.entries()) {
    if (level === 0) files.sort((a, b) => b.largestSeq - a.largestSeq)
    else files.sort((a, b) => Buffer.compare(a.smallestKey, b.smallestKey))
  }
}

function encodeFiles(writer: ByteWriter, files: readonly LeveledFile[]): void {
  writer.varint(files.length)
  for (const { level, file } of files) {
    writer.u8(level).text(file.id)
    writer.varint(file.sizeBytes).varint(file.tailOffset).u32(file.tailCrc32c)
    writer.varint(file.entryCount).varint(file.deletionCount)
    writer.sized(file.smallestKey).sized(file.largestKey)
    writer.varint(file.smallestSeq).varint(file.largestSeq)
    writer.varint(file.rawBytes).varint(file.createdAtMs)
    encodePart(writer, file)
  }
}

const PART_ORIGIN = 1
const PART_SIBLING = 2
const PART_GTE = 4
const PART_LT = 8
const PART_CONTENTS = 16

/** Whose table it is, which part of it counts, and what is in it beside plain entries; one zero byte for none of that. */
function encodePart(writer: ByteWriter, file: TableFile): void {
  const { origin, range } = file
  const sibling = origin?.place.kind === 'sibling'
  const contents = contentFlags(file)
  writer.u8(
    (origin === undefined ? 0 : PART_ORIGIN) |
      (sibling ? PART_SIBLING : 0) |
      (range?.gte === undefined ? 0 : PART_GTE) |
      (range?.lt === undefined ? 0 : PART_LT) |
      (contents === 0 ? 0 : PART_CONTENTS),
  )
  if (origin !== undefined) encodeOrigin(writer, origin)
  if (range?.gte !== undefined) writer.sized(range.gte)
  if (range?.lt !== undefined) writer.sized(range.lt)
  if (contents !== 0) encodeContents(writer, file, contents)
}

/** @param origins those met so far: tables of one origin share one object, so that looking through them is cheap */
function decodePart(reader: ByteReader, origins: Map<string, Origin>, name: string): Partial<TableFile> {
  const flags = reader.u8()
  const origin = (flags & PART_ORIGIN) === 0 ? undefined : shared(origins, decodeOrigin(reader, (flags & PART_SIBLING) !== 0))
  const gte = (flags & PART_GTE) === 0 ? undefined : reader.sized()
  const lt = (flags & PART_LT) === 0 ? undefined : reader.sized()
  const range = gte === undefined && lt === undefined ? undefined : { gte, lt }
  return { origin, range, ...((flags & PART_CONTENTS) !== 0 && decodeContents(reader, origins, name)) }
}

function encodeOriginPins(writer: ByteWriter, pins: readonly OriginPin[]): void {
  writer.varint(pins.length)
  for (const { origin, manifestId, pin } of pins) {
    writer.u8(origin.place.kind === 'sibling' ? 1 : 0)
    encodeOrigin(writer, origin)
    writer.u64(manifestId).text(pin)
  }
}

function decodeOriginPins(bytes: Uint8Array, name: string): OriginPin[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(12)
  const pins = Array.from({ length: count }, (): OriginPin => {
    const sibling = reader.u8() !== 0
    return { origin: decodeOrigin(reader, sibling), manifestId: reader.u64() as ManifestId, pin: reader.text() }
  })
  reader.expectEnd()
  return pins
}

/** No table takes less in a file list. */
export const SMALLEST_FILE_BYTES = 50

function decodeFiles(bytes: Uint8Array, name: string): LeveledFile[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(SMALLEST_FILE_BYTES)
  const files: LeveledFile[] = []
  const origins = new Map<string, Origin>()
  for (let i = 0; i < count; i++) {
    const level = reader.u8()
    if (level >= LEVEL_COUNT) throw new MoraineError('CORRUPTION', `${name} puts a table in level ${level}`)
    const id = fileId(reader, name)
    files.push({
      level,
      file: {
        id,
        sizeBytes: reader.varint(),
        tailOffset: reader.varint(),
        tailCrc32c: reader.u32(),
        entryCount: reader.varint(),
        deletionCount: reader.varint(),
        smallestKey: reader.sized(),
        largestKey: reader.sized(),
        smallestSeq: reader.varint(),
        largestSeq: reader.varint(),
        rawBytes: reader.varint(),
        createdAtMs: reader.varint(),
        ...decodePart(reader, origins, name),
      },
    })
  }
  reader.expectEnd()
  return files
}

function encodeCheckpoints(writer: ByteWriter, checkpoints: readonly CheckpointRecord[]): void {
  writer.varint(checkpoints.length)
  for (const checkpoint of checkpoints) {
    writer.text(checkpoint.id)
    writer.u8(checkpoint.name === undefined ? 0 : 1).text(checkpoint.name ?? '')
    writer.u64(checkpoint.manifestId).u64(checkpoint.createdAtMs)
    writer.u8(checkpoint.expiresAtMs === undefined ? 0 : 1).u64(checkpoint.expiresAtMs ?? 0)
    writer.text(checkpoint.metadata)
  }
}

function decodeCheckpoints(bytes: Uint8Array, name: string): CheckpointRecord[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(28)
  const checkpoints = Array.from({ length: count }, (): CheckpointRecord => {
    const id = reader.text()
    const named = reader.u8() !== 0
    const checkpointName = reader.text()
    const manifestId = reader.u64() as ManifestId
    const createdAtMs = reader.u64()
    const expires = reader.u8() !== 0
    const expiresAtMs = reader.u64()
    return {
      id,
      name: named ? checkpointName : undefined,
      manifestId,
      createdAtMs,
      expiresAtMs: expires ? expiresAtMs : undefined,
      metadata: reader.text(),
    }
  })
  reader.expectEnd()
  return checkpoints
}

function decodeWalEpochs(bytes: Uint8Array, name: string): WalEpoch[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(16)
  const epochs = Array.from({ length: count }, () => ({ epoch: reader.u64() as Epoch, firstSegment: reader.u64() }))
  reader.expectEnd()
  return epochs
}

function decodeJobs(bytes: Uint8Array, name: string): CompactionJob[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(2)
  const jobs = Array.from({ length: count }, (): CompactionJob => {
    const id = reader.text()
    if (!isJobId(id)) throw new MoraineError('CORRUPTION', `${name} names a job '${id}', which is not a job id`)
    return { id, work: reader.text() }
  })
  reader.expectEnd()
  return jobs
}

function decodeBaseReference(bytes: Uint8Array, name: string): BaseReference {
  const reader = new ByteReader(bytes, name)
  const base = { id: fileId(reader, name), sizeBytes: reader.u64(), crc32c: reader.u32() }
  reader.expectEnd()
  return base
}

function decodeDropped(bytes: Uint8Array, name: string): number[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(1)
  const dropped = Array.from({ length: count }, () => reader.varint())
  reader.expectEnd()
  return dropped
}

function fileId(reader: ByteReader, name: string): FileId {
  const id = reader.text()
  if (!isFileId(id)) throw new MoraineError('CORRUPTION', `${name} names a file '${id}', which is not a file id`)
  return id
}

function frameStart(writer: ByteWriter, magic: string): void {
  for (let i = 0; i < magic.length; i++) writer.u8(magic.charCodeAt(i))
  writer.u32(MANIFEST_FORMAT_VERSION)
}

function section(writer: ByteWriter, tag: number, write: () => void): void {
  writer.u8(tag).u32(0)
  const start = writer.length
  write()
  writer.setU32(start - 4, writer.length - start)
}

function frameEnd(writer: ByteWriter): Uint8Array {
  writer.u32(crc32c(writer.view()))
  return writer.finish()
}

const FRAME_BYTES = 8 + 4 + 4

function readFrame(bytes: Uint8Array, magic: string, name: string): Map<number, Uint8Array> {
  if (bytes.length < FRAME_BYTES) throw new MoraineError('CORRUPTION', `${name} has only ${bytes.length} bytes`)
  const body = bytes.subarray(0, bytes.length - 4)
  const stored = new ByteReader(bytes, name, bytes.length - 4).u32()
  if (stored !== crc32c(body)) throw new MoraineError('CORRUPTION', `the checksum of ${name} does not match its bytes`)
  const reader = new ByteReader(body, name)
  const found = String.fromCharCode(...reader.view(8))
  if (found !== magic) throw new MoraineError('CORRUPTION', `${name} does not begin with ${magic}`)
  const version = reader.u32()
  if (version > MANIFEST_FORMAT_VERSION) {
    throw new MoraineError('INVALID', `${name} has format version ${version}; this program reads up to ${MANIFEST_FORMAT_VERSION}: upgrade it`)
  }
  const sections = new Map<number, Uint8Array>()
  while (reader.remaining > 0) {
    const tag = reader.u8()
    const payload = reader.view(reader.u32())
    if (tag > LAST_SECTION) {
      if ((tag & SKIPPABLE) !== 0) continue
      throw new MoraineError('INVALID', `${name} uses a feature (section ${tag}) that this program does not know: upgrade it`)
    }
    if (sections.has(tag)) throw new MoraineError('CORRUPTION', `${name} has section ${tag} twice`)
    sections.set(tag, payload)
  }
  return sections
}
