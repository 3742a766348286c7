import { ByteReader, ByteWriter, crc32c, MoraineError } from '@moraine/base'
import type { Epoch, ManifestId } from '../layout/numbers.ts'
import { type FileId, isFileId } from '../layout/object-names.ts'
import { type BaseReference, type Manifest, manifestDefect } from './manifest.ts'
import type { TableFile } from './table-file.ts'
import { LEVEL_COUNT } from './version.ts'

/**
 * The manifest object:
 *
 *     magic "MORAMAN1" | format version u32 | section* | crc32c u32 (of everything before it)
 *     section = tag u8 | length u32 | payload
 *
 *     1 header     id, epoch, token, database id, time, flushed and last sequence, flags, WAL id, owner
 *     2 files      tables that this manifest lists itself: count, then (level u8, table)*
 *     3 base       (optional) the object that lists the other tables: id, size, crc32c
 *     4 dropped    (with base) tables of the base that are gone: count, then id*
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
const SKIPPABLE = 0x80

const FLAG_RELEASED = 1
const FLAG_WAL = 2

/** A table and the level it stands in. */
export interface LeveledFile {
  readonly level: number
  readonly file: TableFile
}

/** The bytes of a manifest that lists `listed` itself and takes the rest, less `dropped`, from its base. */
export function encodeManifest(manifest: Manifest, listed: readonly LeveledFile[], dropped: readonly FileId[]): Uint8Array {
  const writer = new ByteWriter(1024)
  frameStart(writer, MANIFEST_MAGIC)
  section(writer, SECTION_HEADER, () => {
    writer.u64(manifest.id).u64(manifest.epoch).text(manifest.token).text(manifest.databaseId)
    writer.u64(manifest.committedAtMs).u64(manifest.flushedSeq).u64(manifest.lastSeq)
    writer.u8((manifest.released ? FLAG_RELEASED : 0) | (manifest.walId === undefined ? 0 : FLAG_WAL))
    writer.text(manifest.walId ?? '').text(manifest.owner)
  })
  section(writer, SECTION_FILES, () => encodeFiles(writer, listed))
  const base = manifest.base
  if (base !== undefined) {
    section(writer, SECTION_BASE, () => {
      writer.text(base.id).u64(base.sizeBytes).u32(base.crc32c)
    })
    section(writer, SECTION_DROPPED, () => {
      writer.varint(dropped.length)
      for (const id of dropped) writer.text(id)
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
  readonly dropped: readonly FileId[]
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
      owner,
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
  const dropped = new Set<FileId>(body.dropped)
  const levels: TableFile[][] = Array.from({ length: LEVEL_COUNT }, () => [])
  for (const { level, file } of baseFiles) if (!dropped.has(file.id)) (levels[level] as TableFile[]).push(file)
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
  }
}

const SMALLEST_FILE_BYTES = 50

function decodeFiles(bytes: Uint8Array, name: string): LeveledFile[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(SMALLEST_FILE_BYTES)
  const files: LeveledFile[] = []
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
      },
    })
  }
  reader.expectEnd()
  return files
}

function decodeBaseReference(bytes: Uint8Array, name: string): BaseReference {
  const reader = new ByteReader(bytes, name)
  const base = { id: fileId(reader, name), sizeBytes: reader.u64(), crc32c: reader.u32() }
  reader.expectEnd()
  return base
}

function decodeDropped(bytes: Uint8Array, name: string): FileId[] {
  const reader = new ByteReader(bytes, name)
  const count = reader.count(1)
  const dropped = Array.from({ length: count }, () => fileId(reader, name))
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
    if (tag > SECTION_DROPPED) {
      if ((tag & SKIPPABLE) !== 0) continue
      throw new MoraineError('INVALID', `${name} uses a feature (section ${tag}) that this program does not know: upgrade it`)
    }
    if (sections.has(tag)) throw new MoraineError('CORRUPTION', `${name} has section ${tag} twice`)
    sections.set(tag, payload)
  }
  return sections
}
