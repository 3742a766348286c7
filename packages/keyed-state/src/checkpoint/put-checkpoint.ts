import type { Checkpoint, Db } from 'moraine'
import { RECORD_KEY } from '../state/engine-writer.ts'
import { type CheckpointRecord, encodeRecord, engineMetadata } from './checkpoint-record.ts'

/** A record and the engine's checkpoint in one step: whichever state has the one has the other. */
export function putCheckpoint(db: Db, record: CheckpointRecord): Promise<Checkpoint> {
  const written = db.put(RECORD_KEY, encodeRecord(record))
  const taken = db.checkpoint({ name: record.name, metadata: engineMetadata(record.number, undefined) })
  return Promise.all([taken, written]).then(([checkpoint]) => checkpoint)
}
