import { MoraineError, utf8Decode, utf8Encode } from '@moraine/base'
import type { Checkpoint, JsonValue } from 'moraine'
import { json } from '../codec/json-codec.ts'
import type { StoredCodec, StoredState } from '../descriptor/registry.ts'
import type { KeyGroupRange } from '../key-group/key-group.ts'
import type { StoredTimers } from '../timer/timer-service.ts'
import type { StoredTime } from '../ttl/backend-time.ts'

const FORMAT = 1
const MOST_BYTES = 64 * 1024 * 1024
const AUTOMATIC_NAME = 'keyed-state/'

/** A transaction that a sink has prepared, and that is to be committed. */
export interface PreparedTransaction {
  readonly sink: string
  /** Number of the checkpoint for which it was prepared. */
  readonly checkpoint: number
  readonly transaction: JsonValue
}

/** Where the state of a rescaled database comes from. */
export interface RestoredSource {
  /** Id of the checkpoint in the source. */
  readonly checkpointId: string
  /** What the caller gave to that checkpoint. */
  readonly metadata: JsonValue
  readonly keyGroups: KeyGroupRange
  readonly watermark: number | undefined
}

/**
 * What stands in a database beside its state: everything that a backend needs to go on from a checkpoint. It is an entry of
 * the database (key 0xff 0xff "checkpoint", JSON) written together with the checkpoint, so that clones have it too. A clone
 * of a range of key groups has not, because it belongs to no group: a rescaled database gets a record of its own.
 */
export interface CheckpointRecord {
  readonly format: number
  /** Counts the checkpoints of a database and of what it was made of; 0 is the empty state that it was created with. */
  readonly number: number
  /** The name under which the engine lists the checkpoint. */
  readonly name: string
  readonly keyGroups: KeyGroupRange
  readonly keyCodec: StoredCodec
  readonly states: readonly StoredState[]
  readonly time: StoredTime
  readonly timers: StoredTimers
  /** Elements of lists below this number exist. */
  readonly nextElement: number
  readonly metadata: JsonValue
  readonly transactions: readonly PreparedTransaction[]
  /** Of a rescaled database that has taken no checkpoint of its own yet. */
  readonly sources?: readonly RestoredSource[]
  /** What a rescaled database was made of, so that the same rescale finds it done. */
  readonly rescale?: string
}

export function encodeRecord(record: CheckpointRecord): Uint8Array {
  const bytes = utf8Encode(JSON.stringify(record))
  if (bytes.length <= MOST_BYTES) return bytes
  throw new MoraineError('INVALID', `the metadata and transactions of a checkpoint take ${bytes.length} bytes, and ${MOST_BYTES} is the most`)
}

export function decodeRecord(bytes: Uint8Array): CheckpointRecord {
  let record: CheckpointRecord
  try {
    record = JSON.parse(utf8Decode(bytes)) as CheckpointRecord
  } catch (cause) {
    throw new MoraineError('CORRUPTION', 'the record of the checkpoint in the database is not JSON', { cause })
  }
  if (record.format === FORMAT) return record
  throw new MoraineError(
    'INVALID',
    `the database has format ${String(record.format)} of keyed state, and this version reads format ${FORMAT}: open it with a newer version`,
  )
}

export const RECORD_FORMAT: number = FORMAT

/** What the engine's list of checkpoints says of one. */
export interface ListedCheckpoint {
  readonly id: string
  readonly number: number
  /** What the caller named it. */
  readonly name: string | undefined
  readonly engineName: string
  readonly createdAt: number
  readonly expiresAt: number | undefined
}

/** Metadata for the engine: small, because every manifest carries it. */
export function engineMetadata(number: number, expiresAt: number | undefined): JsonValue {
  return { keyedState: { number, ...(expiresAt !== undefined && { expiresAt }) } }
}

/** The checkpoint as a backend sees it; undefined for one that somebody else has taken. */
export function listedCheckpoint(checkpoint: Checkpoint): ListedCheckpoint | undefined {
  const { keyedState } = (checkpoint.metadata ?? {}) as { keyedState?: { number?: unknown; expiresAt?: number } }
  const engineName = checkpoint.name
  if (typeof keyedState?.number !== 'number' || engineName === undefined) return undefined
  return {
    id: checkpoint.id,
    number: keyedState.number,
    name: isAutomaticName(engineName) ? undefined : engineName,
    engineName,
    createdAt: checkpoint.createdAt,
    expiresAt: keyedState.expiresAt,
  }
}

export function automaticName(number: number): string {
  return AUTOMATIC_NAME + number
}

export function isAutomaticName(name: string): boolean {
  return name.startsWith(AUTOMATIC_NAME)
}

/** A copy of a value as it will come back; null for undefined. INVALID for what would not, or would as another value. */
export function plainJson(value: unknown, what: string): JsonValue {
  if (value === undefined) return null
  try {
    json.check?.(value as JsonValue)
  } catch (cause) {
    throw new MoraineError('INVALID', `${what} must be a value that JSON can carry: ${(cause as Error).message}`, { cause })
  }
  return JSON.parse(JSON.stringify(value)) as JsonValue
}
