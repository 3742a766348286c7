/**
 * Who may use a cache folder:
 *
 *     <folder>/moraine-cache      the database that it belongs to: magic, id, CRC-32C
 *     <folder>/lane-<n>/lock      the process that uses this lane
 *     <folder>/lane-<n>/*.seg     its segments, see segment-index.ts
 *
 * A folder belongs to one database, for good. Every process that uses it takes a lane of its own: the first one that is
 * free, so that a process that comes back finds what it left. A lane is free when the process of its lock is gone.
 *
 * The lock keeps the books straight; it is not what keeps the bytes right. Two processes that took the same lane, because
 * they cannot see each other (two containers that share a folder), would still each write files of their own, under names
 * that nobody else uses, and believe nothing they read that they did not verify.
 */
import { join } from 'node:path'
import { ByteReader, ByteWriter, crc32c, isMoraineError, maskCrc32c, MoraineError, type Random, randomHex } from '@moraine/base'
import type { CacheDisk } from './cache-disk.ts'
import { LaneLock } from './lane-lock.ts'

const IDENTITY_FILE = 'moraine-cache'
const MAGIC = 'MRNCACH1'
const MAX_LANES = 64

export interface ClaimedLane {
  readonly path: string
  release(): Promise<void>
}

/** Takes a lane. INVALID when the folder belongs to another database; anything else that is thrown is the disk's. */
export async function claimLane(disk: CacheDisk, folder: string, databaseId: string, random: Random): Promise<ClaimedLane> {
  await disk.makeFolder(folder)
  await claimFolder(disk, folder, databaseId, random)
  for (let number = 0; number < MAX_LANES; number++) {
    const path = join(folder, `lane-${number}`)
    await disk.makeFolder(path)
    const lock = await LaneLock.take(disk, path, random)
    if (lock !== undefined) return { path, release: () => lock.release() }
  }
  throw new Error(`all ${MAX_LANES} lanes of ${folder} are in use`)
}

async function claimFolder(disk: CacheDisk, folder: string, databaseId: string, random: Random): Promise<void> {
  const path = join(folder, IDENTITY_FILE)
  const ours = encodeIdentity(databaseId)
  for (let attempt = 0; attempt < 3; attempt++) {
    const via = `${path}-${randomHex(random, 6)}`
    const content = await disk.readSmall(path)
    if (content === undefined) {
      if (await disk.createSmall(path, via, ours)) return
      continue
    }
    const owner = decodeIdentity(content)
    if (owner === databaseId) return
    if (owner !== undefined) throw foreignFolder(folder, owner, databaseId)
    // Damaged. Its segments say whose they are, so nothing foreign is ever read.
    await disk.replaceSmall(path, via, ours)
    return
  }
}

function foreignFolder(folder: string, owner: string, databaseId: string): MoraineError {
  return new MoraineError(
    'INVALID',
    `the disk cache folder ${folder} belongs to database ${owner}, not to ${databaseId}: name another folder in diskCache.folder, or delete this one when that database no longer uses it`,
    { detail: { folder, found: owner, expected: databaseId } },
  )
}

function encodeIdentity(databaseId: string): Uint8Array {
  const writer = new ByteWriter(64)
  for (const letter of MAGIC) writer.u8(letter.charCodeAt(0))
  writer.text(databaseId)
  return writer.u32(maskCrc32c(crc32c(writer.view()))).finish()
}

/** The database that a folder belongs to; undefined when that cannot be told. */
function decodeIdentity(bytes: Uint8Array): string | undefined {
  try {
    const end = bytes.length - 4
    const stored = new ByteReader(bytes, 'a cache identity', Math.max(end, 0)).u32()
    if (maskCrc32c(crc32c(bytes, 0, end)) !== stored) return undefined
    const reader = new ByteReader(bytes, 'a cache identity', 0, end)
    const magic = String.fromCharCode(...reader.view(MAGIC.length))
    return magic === MAGIC ? reader.text() : undefined
  } catch (error) {
    if (isMoraineError(error, 'CORRUPTION')) return undefined
    throw error
  }
}
