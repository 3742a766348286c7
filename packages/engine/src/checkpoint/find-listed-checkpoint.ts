import type { ObjectStore } from '@moraine/object-store'
import { findCheckpoint } from '../manifest/live-checkpoints.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import { unknownCheckpoint } from './checkpoints.ts'
import { type ListedPin, listPins, readPinNote } from './pins.ts'

/** A checkpoint that exists, and the pin that is all there is of it when it was taken from outside. */
export interface FoundCheckpoint {
  readonly checkpoint: CheckpointRecord
  readonly pin: ListedPin | undefined
}

/**
 * A checkpoint by its id or name: one that the newest manifest lists, or else one taken from outside a running writer,
 * which is a pin (see outside-checkpoint.ts). INVALID when there is neither.
 */
export async function findListedCheckpoint(
  store: ObjectStore,
  newest: Manifest,
  idOrName: string,
  signal?: AbortSignal,
): Promise<FoundCheckpoint> {
  const listed = findCheckpoint(newest.checkpoints, idOrName)
  if (listed !== undefined) return { checkpoint: listed, pin: undefined }
  const outside = await outsideCheckpoints(store, signal)
  const found =
    outside.find(({ checkpoint }) => checkpoint.id === idOrName) ?? outside.find(({ checkpoint }) => checkpoint.name === idOrName)
  if (found !== undefined) return found
  throw unknownCheckpoint(idOrName, [...newest.checkpoints, ...outside.map(({ checkpoint }) => checkpoint)])
}

/** The checkpoints that were taken from outside. One LIST, and a GET for each. */
export async function outsideCheckpoints(
  store: ObjectStore,
  signal?: AbortSignal,
): Promise<(FoundCheckpoint & { readonly pin: ListedPin })[]> {
  const { pins } = await listPins(store, signal)
  const read = pins
    .filter(({ holder }) => holder.kind === 'checkpoint')
    .map(async (pin) => {
      const note = await readPinNote(store, pin.name, signal)
      if (note === undefined) return undefined
      const checkpoint: CheckpointRecord = {
        id: pin.unique,
        name: note.name,
        manifestId: pin.manifestId,
        createdAtMs: note.createdAtMs,
        expiresAtMs: undefined,
        metadata: note.metadata ?? 'null',
      }
      return { checkpoint, pin }
    })
  return (await Promise.all(read)).filter((found) => found !== undefined)
}
