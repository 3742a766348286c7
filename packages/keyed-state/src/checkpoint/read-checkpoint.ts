import { type Clock, isMoraineError, MoraineError, type Random } from '@moraine/base'
import { type DbReader, type Location, openReader } from 'moraine'
import { RECORD_KEY } from '../state/engine-writer.ts'
import { type CheckpointRecord, decodeRecord } from './checkpoint-record.ts'

export interface Environment {
  readonly clock?: Clock
  readonly random?: Random
}

/** A checkpoint, held open for reading. */
export interface OpenCheckpoint {
  readonly reader: DbReader
  readonly checkpointId: string
  readonly record: CheckpointRecord
}

const ATTEMPTS = 5

/**
 * Opens a completed checkpoint from outside: the one that is asked for, or the newest. The newest is found through the record
 * in the newest flushed state: it is there when and only when the checkpoint that it names was completed.
 */
export async function openCheckpoint(location: Location, checkpoint: string | undefined, environment: Environment): Promise<OpenCheckpoint> {
  if (checkpoint !== undefined) return await openNamed(location, checkpoint, environment)
  const follower = await openFollower(location, environment)
  try {
    return await openNewest(location, follower, environment)
  } finally {
    await follower.close()
  }
}

/** A reader of whatever was flushed last, which writes nothing and asks for news only when it is told to. */
export function openFollower(location: Location, environment: Environment): Promise<DbReader> {
  return openReader(location, { refreshIntervalMs: 0, lease: false, ...environment })
}

/** The newest checkpoint by a follower that may be behind. */
export async function openNewest(location: Location, follower: DbReader, environment: Environment): Promise<OpenCheckpoint> {
  for (let attempt = 1; ; attempt++) {
    const record = await readRecord(follower)
    if (record === undefined) {
      throw new MoraineError('INVALID', 'there is no completed checkpoint of keyed state at this location yet')
    }
    try {
      return await openNamed(location, record.name, environment)
    } catch (error) {
      // The job may have taken another checkpoint and deleted this one meanwhile.
      if (!isMoraineError(error, 'INVALID') || attempt === ATTEMPTS || !(await follower.refresh())) throw error
    }
  }
}

/** The record of the newest completed checkpoint; undefined when there is none. */
export async function readRecord(reader: DbReader): Promise<CheckpointRecord | undefined> {
  const bytes = await reader.get(RECORD_KEY)
  const record = bytes === undefined ? undefined : decodeRecord(bytes)
  return record === undefined || record.number === 0 ? undefined : record
}

async function openNamed(location: Location, checkpoint: string, environment: Environment): Promise<OpenCheckpoint> {
  const reader = await openReader(location, { checkpoint, refreshIntervalMs: 0, ...environment })
  try {
    const record = await readRecord(reader)
    if (record !== undefined) return { reader, checkpointId: reader.checkpoint?.id ?? checkpoint, record }
    throw new MoraineError('INVALID', `checkpoint '${checkpoint}' is not one of keyed state`)
  } catch (error) {
    await reader.close()
    throw error
  }
}
