import { type CallLimits, MoraineError } from '@moraine/base'
import type { CheckpointRequest } from '../checkpoint/checkpoints.ts'
import type { CheckpointRecord } from '../manifest/manifest.ts'
import { limitChecks } from './call-options.ts'
import { checkOptions, integerOption, type OptionCheck, type OptionChecks } from './option-checks.ts'

/** Any value that JSON can carry. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue | undefined }

export interface CheckpointOptions extends CallLimits {
  /** Unique among the checkpoints that exist; 1 to 200 characters. */
  readonly name?: string
  /** Kept with the checkpoint and given back with it; at most 64 KiB as JSON. */
  readonly metadata?: JsonValue
  /** The checkpoint expires that many milliseconds after it was asked for, by the owner's clock. Default: never. */
  readonly ttlMs?: number
}

/** A durable, named state of a database. Times in milliseconds since the Unix epoch, by the owner's clock. */
export interface Checkpoint {
  readonly id: string
  readonly name: string | undefined
  /** The manifest that first lists it, and whose state it is. */
  readonly manifestId: number
  readonly createdAt: number
  readonly expiresAt: number | undefined
  /** What the caller gave; null when nothing. */
  readonly metadata: JsonValue
}

const MOST_METADATA_BYTES = 64 * 1024

/** A name, or an id, of a checkpoint. */
export const checkpointOption: OptionCheck = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= 200 ? undefined : 'a string of 1 to 200 characters'

const checks: OptionChecks<CheckpointOptions> = {
  name: checkpointOption,
  metadata: () => undefined,
  ...limitChecks,
  ttlMs: integerOption(1, 100 * 365 * 86_400_000),
}

/** Checks what `checkpoint` was given; INVALID says what is wrong. The metadata is fixed as JSON text from here on. */
export function checkpointRequest(options: CheckpointOptions = {}): CheckpointRequest {
  checkOptions('checkpoint', options, checks)
  return { name: options.name, metadata: metadataText(options.metadata), ttlMs: options.ttlMs }
}

export function checkpointReference(call: string, idOrName: string): string {
  const wanted = checkpointOption(idOrName)
  if (wanted === undefined) return idOrName
  throw new MoraineError('INVALID', `${call} takes the id or the name of a checkpoint, ${wanted}`)
}

/** A listed checkpoint as programs see it. */
export function publicCheckpoint(record: CheckpointRecord): Checkpoint {
  return {
    id: record.id,
    name: record.name,
    manifestId: record.manifestId,
    createdAt: record.createdAtMs,
    expiresAt: record.expiresAtMs,
    metadata: JSON.parse(record.metadata) as JsonValue,
  }
}

function metadataText(metadata: JsonValue | undefined): string {
  if (metadata === undefined) return 'null'
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(metadata) as string | undefined
  } catch (error) {
    cause = error
  }
  if (text === undefined) {
    throw new MoraineError('INVALID', 'the metadata of a checkpoint must be a value that JSON can carry', { cause })
  }
  const bytes = Buffer.byteLength(text)
  if (bytes <= MOST_METADATA_BYTES) return text
  throw new MoraineError(
    'INVALID',
    `the metadata of a checkpoint has ${bytes} bytes as JSON, and ${MOST_METADATA_BYTES} is the most: put large metadata into the database itself`,
    { detail: { bytes, most: MOST_METADATA_BYTES } },
  )
}
