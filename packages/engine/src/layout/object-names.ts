import { type Random, randomHex } from '@moraine/base'
import type { Epoch, ManifestId } from './numbers.ts'

/**
 * Every object name that Moraine uses, spelled here and nowhere else. Names are relative to the database's prefix:
 *
 *     identity                                database id and format version; created if absent, never rewritten
 *     manifest/<complement>-<id>              numbered without gaps; the complement of the id comes first, so that the
 *                                             newest manifest is the FIRST name of a listing: one LIST with maxKeys=1
 *     base/<epoch>-<unique>.base              the file list a large manifest refers to instead of repeating it
 *     sst/<epoch>-<unique>.sst                sorted tables
 *     blob/<epoch>-<unique>.blob              separated large values
 *     wal/<epoch>-<n>.wal                     log segments and fences, when the log lives in the store
 *     pin/<manifest>-<unique>                 leases of readers, pins of clones
 *     compaction/<job>/<attempt>.claim        remote compaction: claims, heartbeats and results; <job> is <epoch>-<n>
 *
 * Numbers are decimal and zero-padded to a fixed width, so that name order is number order. The writer's epoch stands
 * in every data name, and the unique part is random: a name is never used twice, and a collector can tell by the name
 * alone that a file belongs to an owner it must not judge.
 */
export const IDENTITY_NAME = 'identity'
export const MANIFEST_PREFIX = 'manifest/'
export const BASE_PREFIX = 'base/'
export const SST_PREFIX = 'sst/'
export const BLOB_PREFIX = 'blob/'
export const WAL_PREFIX = 'wal/'
export const PIN_PREFIX = 'pin/'
export const COMPACTION_PREFIX = 'compaction/'

/** The folders a database's objects stand in; whatever else a prefix holds is not ours. */
export const DATABASE_FOLDERS: readonly string[] = [
  MANIFEST_PREFIX,
  BASE_PREFIX,
  SST_PREFIX,
  BLOB_PREFIX,
  WAL_PREFIX,
  PIN_PREFIX,
  COMPACTION_PREFIX,
]

const MANIFEST_DIGITS = 15
const MANIFEST_CEILING = 10 ** MANIFEST_DIGITS - 1
const EPOCH_DIGITS = 12
const SEGMENT_DIGITS = 12
const UNIQUE_BYTES = 12
const JOB_HEX_DIGITS = 8
const ATTEMPT_HEX_DIGITS = 4
const BLOB_NUMBER_HEX_DIGITS = 8

/** Attempts of one remote compaction at most. */
export const MOST_ATTEMPTS: number = 0xffff

/** Identity of a data file: `<epoch>-<unique>`, the part of its name between folder and extension. */
export type FileId = string & { readonly __brand: 'file-id' }

export function newFileId(epoch: Epoch, random: Random): FileId {
  return `${padded(epoch, EPOCH_DIGITS)}-${randomHex(random, UNIQUE_BYTES)}` as FileId
}

export function isFileId(text: string): text is FileId {
  return /^\d{12}-[0-9a-f]{24}$/.test(text)
}

/** The epoch of the writer that made the file. */
export function epochOfFile(id: FileId): Epoch {
  return Number(id.slice(0, EPOCH_DIGITS)) as Epoch
}

/** The number and the hexadecimal digits that a file id is made of, for binary formats. */
export function splitFileId(id: FileId): { readonly epoch: number; readonly unique: string } {
  return { epoch: epochOfFile(id), unique: id.slice(EPOCH_DIGITS + 1) }
}

/** The file id of these parts. An epoch that is too large makes a name that no file has. */
export function fileIdOf(epoch: number, unique: string): FileId {
  return `${padded(epoch, EPOCH_DIGITS)}-${unique}` as FileId
}

/**
 * The beginning that the ids of one job's blob files have in common, so that whoever builds them, in another thread or
 * elsewhere, can name them in tables before they are uploaded.
 */
export type BlobSeed = string & { readonly __brand: 'blob-seed' }

export function newBlobSeed(epoch: Epoch, random: Random): BlobSeed {
  return `${padded(epoch, EPOCH_DIGITS)}-${randomHex(random, UNIQUE_BYTES - BLOB_NUMBER_HEX_DIGITS / 2)}` as BlobSeed
}

/** Blob file `n` of a job; never asked for twice. */
export function blobIdOf(seed: BlobSeed, n: number): FileId {
  return `${seed}${hex(n, BLOB_NUMBER_HEX_DIGITS)}` as FileId
}

export function sstName(id: FileId): string {
  return `${SST_PREFIX}${id}.sst`
}

export function blobName(id: FileId): string {
  return `${BLOB_PREFIX}${id}.blob`
}

export function baseName(id: FileId): string {
  return `${BASE_PREFIX}${id}.base`
}

export function manifestName(id: ManifestId): string {
  return `${MANIFEST_PREFIX}${padded(MANIFEST_CEILING - id, MANIFEST_DIGITS)}-${padded(id, MANIFEST_DIGITS)}`
}

/** The number of a manifest name; undefined when the name is not one. */
export function parseManifestName(name: string): ManifestId | undefined {
  const match = /^manifest\/(\d{15})-(\d{15})$/.exec(name)
  if (match === null) return undefined
  const id = Number(match[2])
  return MANIFEST_CEILING - Number(match[1]) === id ? (id as ManifestId) : undefined
}

/** The file id in `sst/<id>.sst`, `blob/<id>.blob` or `base/<id>.base`; undefined for other names. */
export function parseDataName(name: string): FileId | undefined {
  const match = /^(sst|blob|base)\/(\d{12}-[0-9a-f]{24})\.(?:\1)$/.exec(name)
  return match === null ? undefined : (match[2] as FileId)
}

/** Log segment (or fence) `n` of an epoch; numbered from 1 without gaps. */
export function walName(epoch: Epoch, n: number): string {
  return `${walEpochPrefix(epoch)}${padded(n, SEGMENT_DIGITS)}.wal`
}

/** What the names of an epoch's log segments have in common. */
export function walEpochPrefix(epoch: Epoch): string {
  return `${WAL_PREFIX}${padded(epoch, EPOCH_DIGITS)}-`
}

/** The epoch and number in `wal/<epoch>-<n>.wal`; undefined for other names. */
export function parseWalName(name: string): { epoch: Epoch; n: number } | undefined {
  const match = /^wal\/(\d{12})-(\d{12})\.wal$/.exec(name)
  return match === null ? undefined : { epoch: Number(match[1]) as Epoch, n: Number(match[2]) }
}

/** Identity of a remote compaction: `<epoch of the owner that offered it>-<number in that epoch>`. */
export type JobId = string & { readonly __brand: 'job-id' }

export function newJobId(epoch: Epoch, n: number): JobId {
  return `${padded(epoch, EPOCH_DIGITS)}-${hex(n, JOB_HEX_DIGITS)}` as JobId
}

export function isJobId(text: string): text is JobId {
  return /^\d{12}-[0-9a-f]{8}$/.test(text)
}

export function epochOfJob(id: JobId): Epoch {
  return Number(id.slice(0, EPOCH_DIGITS)) as Epoch
}

/** A table of one attempt of a job: an id of the owner's epoch whose unique part begins with job and attempt. */
export function newJobFileId(job: JobId, attempt: number, random: Random): FileId {
  const known = `${job}${hex(attempt, ATTEMPT_HEX_DIGITS)}`
  return `${known}${randomHex(random, UNIQUE_BYTES - (JOB_HEX_DIGITS + ATTEMPT_HEX_DIGITS) / 2)}` as FileId
}

/** The ids of an attempt's blob files: of the owner's epoch, with job and attempt, like those of its tables. */
export function newJobBlobSeed(job: JobId, attempt: number, random: Random): BlobSeed {
  const known = `${job}${hex(attempt, ATTEMPT_HEX_DIGITS)}`
  const left = UNIQUE_BYTES - (JOB_HEX_DIGITS + ATTEMPT_HEX_DIGITS + BLOB_NUMBER_HEX_DIGITS) / 2
  return `${known}${randomHex(random, left)}` as BlobSeed
}

/** The job that a table may be of: one of the owner's own tables has a job's digits once in 2^32. */
export function jobOfFile(id: FileId): JobId {
  return id.slice(0, EPOCH_DIGITS + 1 + JOB_HEX_DIGITS) as JobId
}

export type JobObjectKind = 'claim' | 'heartbeat' | 'result'

export function jobPrefix(job: JobId): string {
  return `${COMPACTION_PREFIX}${job}/`
}

export function jobObjectName(job: JobId, attempt: number, kind: JobObjectKind): string {
  return `${jobPrefix(job)}${hex(attempt, ATTEMPT_HEX_DIGITS)}.${kind}`
}

/** What a name under `compaction/` says; undefined when it is not one of ours. */
export function parseJobObjectName(name: string): { job: JobId; attempt: number; kind: JobObjectKind } | undefined {
  const match = /^compaction\/(\d{12}-[0-9a-f]{8})\/([0-9a-f]{4})\.(claim|heartbeat|result)$/.exec(name)
  if (match === null) return undefined
  return { job: match[1] as JobId, attempt: Number.parseInt(match[2] as string, 16), kind: match[3] as JobObjectKind }
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}

function padded(value: number, digits: number): string {
  return String(value).padStart(digits, '0')
}
