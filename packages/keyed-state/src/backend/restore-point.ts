import { MoraineError } from '@moraine/base'
import type { Db, JsonValue } from 'moraine'
import {
  automaticName,
  type CheckpointRecord,
  decodeRecord,
  type ListedCheckpoint,
  RECORD_FORMAT,
  type RestoredSource,
} from '../checkpoint/checkpoint-record.ts'
import { listCheckpoints, unknownCheckpoint } from '../checkpoint/checkpointer.ts'
import { putCheckpoint } from '../checkpoint/put-checkpoint.ts'
import { DEFAULT_KEY_GROUPS, type KeyGroupRange, sameGroups, spellGroups } from '../key-group/key-group.ts'
import { CHANGED_KEY, RECORD_KEY } from '../state/engine-writer.ts'

/** What a backend goes on from. */
export interface Restored {
  readonly checkpointId: string
  /** What the caller gave to the checkpoint; null when nothing, and when the state was united from several. */
  readonly metadata: JsonValue
  /** After a rescale: the checkpoints that the state was made of. Empty otherwise. */
  readonly sources: readonly RestoredSource[]
}

export interface RestorePoint {
  readonly record: CheckpointRecord
  readonly restored: Restored | undefined
  readonly lastNumber: number
}

export interface RestoreWish {
  readonly keyCodec: { readonly name: string; readonly version: number }
  readonly keyGroups: KeyGroupRange | undefined
  readonly checkpoint: string | undefined
}

/**
 * Takes an opened database to the state that a backend begins with, whatever a process that crashed has left in it:
 *
 *   checkpoints listed     to the one that is wanted, or the newest; what was flushed after it is given up (pitfall 34)
 *   none, nothing at all   the database is new: the empty state becomes checkpoint 0, so that a crash before the first
 *                          checkpoint leads back to it
 *   none, but a record     a clone of a checkpoint, made by the engine's own `clone`: the state it was made with becomes a
 *                          checkpoint of its own. If the record says that the state has moved on since, it is refused.
 *   none, no record        something else, or a rescale that was cut off: refused
 */
export async function findRestorePoint(db: Db, wish: RestoreWish): Promise<RestorePoint> {
  const listed = await listCheckpoints(db)
  if (listed.length > 0) return await restoreListed(db, listed, wish)
  if (wish.checkpoint !== undefined) throw unknownCheckpoint(wish.checkpoint, [])
  const bytes = await db.get(RECORD_KEY)
  if (bytes !== undefined) return await adoptClone(db, decodeRecord(bytes), wish)
  await ensureNew(db)
  return await create(db, wish)
}

async function restoreListed(db: Db, listed: readonly ListedCheckpoint[], wish: RestoreWish): Promise<RestorePoint> {
  const { checkpoint } = wish
  const wanted = checkpoint === undefined ? listed.at(-1) : listed.find(({ id, name, number }) => number > 0 && (id === checkpoint || name === checkpoint))
  if (wanted === undefined) throw unknownCheckpoint(checkpoint ?? '', listed)
  const { added, gone } = await db.diffCheckpoints(wanted.id)
  if (added.files > 0 || gone.files > 0) await db.restore(wanted.id)
  const bytes = await db.get(RECORD_KEY)
  if (bytes === undefined) throw new MoraineError('CORRUPTION', `checkpoint '${wanted.name ?? wanted.id}' has no record of keyed state: use another one`)
  const record = decodeRecord(bytes)
  ensureFits(record, wish)
  const lastNumber = (listed.at(-1) as ListedCheckpoint).number
  return { record, lastNumber, restored: wanted.number === 0 ? undefined : restoredFrom(wanted.id, record) }
}

async function adoptClone(db: Db, record: CheckpointRecord, wish: RestoreWish): Promise<RestorePoint> {
  if ((await db.get(CHANGED_KEY)) !== undefined) {
    throw new MoraineError(
      'INVALID',
      'the state of this database has moved on from its checkpoint, and no checkpoint is listed: it is a clone that was made without one, or its checkpoints were deleted. Clone a checkpoint: clone(source, target, { checkpoint })',
    )
  }
  ensureFits(record, wish)
  const adopted: CheckpointRecord = { ...record, number: record.number + 1, name: automaticName(record.number + 1) }
  const { id } = await putCheckpoint(db, adopted)
  return { record: adopted, lastNumber: adopted.number, restored: record.number === 0 ? undefined : restoredFrom(id, adopted) }
}

async function create(db: Db, { keyCodec, keyGroups }: RestoreWish): Promise<RestorePoint> {
  const record: CheckpointRecord = {
    format: RECORD_FORMAT,
    number: 0,
    name: automaticName(0),
    keyGroups: keyGroups ?? { total: DEFAULT_KEY_GROUPS, first: 0, last: DEFAULT_KEY_GROUPS - 1 },
    keyCodec: { name: keyCodec.name, version: keyCodec.version },
    states: [],
    time: {},
    timers: { event: false, processing: false },
    nextElement: 0,
    metadata: null,
    transactions: [],
  }
  await putCheckpoint(db, record)
  return { record, lastNumber: 0, restored: undefined }
}

/** INVALID when the database holds anything that is not ours. */
async function ensureNew(db: Db): Promise<void> {
  if (db.stats().borrowed.length > 0) {
    throw new MoraineError(
      'INVALID',
      'the database borrows its tables from others and has no record of keyed state: a rescale that was cut off. Run rescaleKeyedState again, with the same sources and targets',
    )
  }
  for await (const [key] of db.scan({ limit: 1 })) {
    throw new MoraineError('INVALID', `the database holds keys and no keyed state (the first key has ${key.length} bytes): open an empty location`)
  }
}

function ensureFits({ keyCodec, keyGroups }: CheckpointRecord, wish: RestoreWish): void {
  if (keyCodec.name !== wish.keyCodec.name || keyCodec.version !== wish.keyCodec.version) {
    throw new MoraineError(
      'INVALID',
      `the keys of this database are in codec '${keyCodec.name}' version ${keyCodec.version}, not '${wish.keyCodec.name}' version ${wish.keyCodec.version}: keys cannot be upgraded in place; export and import a savepoint`,
    )
  }
  if (wish.keyGroups === undefined || sameGroups(keyGroups, wish.keyGroups)) return
  throw new MoraineError(
    'INVALID',
    `this database holds ${spellGroups(keyGroups)}, not ${spellGroups(wish.keyGroups)}: leave keyGroups out, or use rescaleKeyedState. The total never changes but by a savepoint`,
  )
}

function restoredFrom(checkpointId: string, { metadata, sources = [] }: CheckpointRecord): Restored {
  return { checkpointId, metadata, sources }
}
