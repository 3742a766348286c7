import { type ByteReader, type ByteWriter, MoraineError } from '@moraine/base'
import { type FileId, isFileId } from '../layout/object-names.ts'
import type { BlobLink } from './blob-link.ts'
import type { Origin } from './origin.ts'
import { decodeOrigin, encodeOrigin, shared } from './origin-codec.ts'
import type { TableFile } from './table-file.ts'

/**
 * What a table in a file list has beside plain entries:
 *
 *     contents = flags u8 | range tombstones varint (with TOMBSTONES) | expiry varint (with EXPIRES) | blobs (with BLOBS)
 *     blobs    = count varint, then (place u8 | origin (unless place is 0) | id text | size varint | live varint)*
 */
const ENVELOPED = 1
const TOMBSTONES = 2
const END_EXCLUDED = 4
const EXPIRES = 8
const BLOBS = 16
const KNOWN_FLAGS = 31

/** Place of a blob file: our own prefix, or an origin's. */
const OWN = 0
const SIBLING = 1
const ELSEWHERE = 2

/** 0: plain entries only. */
export function contentFlags(file: TableFile): number {
  return (
    (file.enveloped === true ? ENVELOPED : 0) |
    ((file.rangeTombstoneCount ?? 0) > 0 ? TOMBSTONES : 0) |
    (file.largestKeyExcluded === true ? END_EXCLUDED : 0) |
    (file.expiresAtMs === undefined ? 0 : EXPIRES) |
    ((file.blobs?.length ?? 0) > 0 ? BLOBS : 0)
  )
}

export function encodeContents(writer: ByteWriter, file: TableFile, flags: number): void {
  writer.u8(flags)
  if ((flags & TOMBSTONES) !== 0) writer.varint(file.rangeTombstoneCount ?? 0)
  if (file.expiresAtMs !== undefined) writer.varint(file.expiresAtMs)
  if ((flags & BLOBS) === 0) return
  const blobs = file.blobs ?? []
  writer.varint(blobs.length)
  for (const { id, origin, sizeBytes, liveBytes } of blobs) {
    writer.u8(origin === undefined ? OWN : origin.place.kind === 'sibling' ? SIBLING : ELSEWHERE)
    if (origin !== undefined) encodeOrigin(writer, origin)
    writer.text(id).varint(sizeBytes).varint(liveBytes)
  }
}

export function decodeContents(reader: ByteReader, origins: Map<string, Origin>, name: string): Partial<TableFile> {
  const flags = reader.u8()
  if ((flags & ~KNOWN_FLAGS) !== 0) {
    throw new MoraineError('INVALID', `${name} lists a table with contents (${flags}) that this program does not know: upgrade it`)
  }
  return {
    ...((flags & ENVELOPED) !== 0 && { enveloped: true }),
    ...((flags & END_EXCLUDED) !== 0 && { largestKeyExcluded: true }),
    ...((flags & TOMBSTONES) !== 0 && { rangeTombstoneCount: reader.varint() }),
    ...((flags & EXPIRES) !== 0 && { expiresAtMs: reader.varint() }),
    ...((flags & BLOBS) !== 0 && { blobs: decodeBlobs(reader, origins, name) }),
  }
}

function decodeBlobs(reader: ByteReader, origins: Map<string, Origin>, name: string): BlobLink[] {
  const count = reader.count(SMALLEST_LINK_BYTES)
  return Array.from({ length: count }, (): BlobLink => {
    const place = reader.u8()
    const origin = place === OWN ? undefined : shared(origins, decodeOrigin(reader, place === SIBLING))
    const id = reader.text()
    if (!isFileId(id)) throw new MoraineError('CORRUPTION', `${name} names a blob file '${id}', which is not a file id`)
    const link = { id: id as FileId, sizeBytes: reader.varint(), liveBytes: reader.varint() }
    return origin === undefined ? link : { ...link, origin }
  })
}

const SMALLEST_LINK_BYTES = 40
