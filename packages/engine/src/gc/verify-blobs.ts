import { ByteReader, compareBytes, isMoraineError, printableBytes } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { EntryKind, type SstReader } from '@moraine/sstable'
import { isBlobReference, payloadStart } from '../batch/envelope.ts'
import { BLOB_FOOTER_BYTES, decodeBlobFooter } from '../blob/blob-format.ts'
import { readReference } from '../blob/blob-reference.ts'
import { BlobStore } from '../blob/blob-store.ts'
import { BlobWindows } from '../blob/blob-windows.ts'
import type { ManifestId } from '../layout/numbers.ts'
import { blobName, type FileId } from '../layout/object-names.ts'
import { type BlobLink, NO_BLOBS } from '../manifest/blob-link.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { Origin } from '../manifest/origin.ts'
import type { TableFile } from '../manifest/table-file.ts'
import { filesOf } from '../manifest/version.ts'
import type { VerifyProblem } from './verify-problem.ts'

/** A blob file, and where it is needed. */
export interface NeededBlob {
  readonly link: BlobLink
  readonly neededBy: ManifestId[]
  /** The keys of the tables that refer to it. */
  smallestKey: Uint8Array
  largestKey: Uint8Array
}

/** Where blob files are read from. */
export interface BlobCheck {
  readonly storeOf: (origin: Origin | undefined) => ObjectStore
  readonly signal?: AbortSignal | undefined
}

/** Each blob file once, however many tables and manifests name it. */
export function neededBlobs(roots: ReadonlyMap<ManifestId, Manifest>, isOwn: (id: ManifestId) => boolean): Map<FileId, NeededBlob> {
  const needed = new Map<FileId, NeededBlob>()
  for (const [id, { version }] of roots) {
    for (const { blobs = NO_BLOBS, smallestKey, largestKey } of filesOf(version)) {
      for (const link of blobs) {
        if (link.origin !== undefined && !isOwn(id)) continue
        const known = needed.get(link.id)
        if (known === undefined) {
          needed.set(link.id, { link, neededBy: [id], smallestKey, largestKey })
          continue
        }
        if (known.neededBy.at(-1) !== id) known.neededBy.push(id)
        if (compareBytes(smallestKey, known.smallestKey) < 0) known.smallestKey = smallestKey
        if (compareBytes(largestKey, known.largestKey) > 0) known.largestKey = largestKey
      }
    }
  }
  return needed
}

/** Whether a blob file is there, has its size and ends as it was written; what is wrong, if anything. */
export async function checkBlobFile(blob: NeededBlob, { storeOf, signal }: BlobCheck): Promise<VerifyProblem | undefined> {
  const { link } = blob
  const name = blobName(link.id)
  const store = storeOf(link.origin)
  const range = { offset: Math.max(0, link.sizeBytes - BLOB_FOOTER_BYTES), length: BLOB_FOOTER_BYTES }
  const footer = await store.get(name, { range, signal })
  if (footer === undefined) return problemOf(blob, true, `${name} is missing from ${store.url}`)
  if (footer.objectSizeBytes !== link.sizeBytes) {
    return problemOf(blob, false, `${name} has ${footer.objectSizeBytes} bytes, but the manifest says ${link.sizeBytes}`)
  }
  try {
    decodeBlobFooter(footer.bytes, new ByteReader(footer.bytes, name), name)
    return undefined
  } catch (error) {
    if (!isMoraineError(error, 'CORRUPTION')) throw error
    return problemOf(blob, false, error.message)
  }
}

/**
 * Reads every value that a table refers to. Gives the blob files in which one is not what it should be, and what is wrong;
 * those in `broken` are known already, and those that are found are added to it.
 */
export async function checkReferences(
  reader: SstReader,
  file: TableFile,
  blobs: ReadonlyMap<FileId, NeededBlob>,
  broken: Set<FileId>,
  { storeOf, signal }: BlobCheck,
): Promise<VerifyProblem[]> {
  const links = file.blobs ?? NO_BLOBS
  if (links.length === 0) return []
  const problems: VerifyProblem[] = []
  const store = new BlobStore(storeOf, NO_CACHE)
  store.retain(links)
  const windows = new BlobWindows(store)
  for await (const { kind, value } of reader.entries()) {
    if (kind !== EntryKind.put || !isBlobReference(value, 0, value.length)) continue
    signal?.throwIfAborted()
    const reference = readReference(value, payloadStart(value, 0, value.length), value.length)
    if (broken.has(reference.id)) continue
    try {
      await windows.value(reference)
    } catch (error) {
      if (!isMoraineError(error, 'CORRUPTION')) throw error
      const blob = blobs.get(reference.id)
      // Not in the manifest: then it is the table that is wrong.
      if (blob === undefined) throw error
      broken.add(reference.id)
      problems.push(problemOf(blob, error.detail['missing'] === true, error.message))
    }
  }
  return problems
}

const NO_CACHE = { hasRoomFor: () => false, insert: () => {}, drop: () => {} }

function problemOf(blob: NeededBlob, missing: boolean, what: string): VerifyProblem {
  const keys = { smallest: printableBytes(blob.smallestKey, 64), largest: printableBytes(blob.largestKey, 64) }
  const message = `${what}; it holds large values of keys between '${keys.smallest}' and '${keys.largest}'`
  return { object: blobName(blob.link.id), missing, message, keys, neededBy: blob.neededBy }
}
