import { isMoraineError, MoraineError } from '@moraine/base'
import { type ListedPin, protects } from '../checkpoint/pins.ts'
import type { ManifestId } from '../layout/numbers.ts'
import { manifestName } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'

/** A manifest that a checkpoint or a pin keeps, or the error to end with if somebody relies on it. */
export async function readRoot(manifests: ManifestStore, id: ManifestId, signal?: AbortSignal): Promise<Manifest | MoraineError> {
  try {
    const root = await manifests.read(id, signal)
    if (root !== undefined) return root
  } catch (error) {
    if (isMoraineError(error, 'CORRUPTION')) return error
    throw error
  }
  return new MoraineError(
    'CORRUPTION',
    `${manifestName(id)} is missing, but a checkpoint or a pin keeps it: what it needs is unknown, so nothing was collected. Delete that checkpoint or pin if it is given up`,
    { detail: { manifest: id } },
  )
}

/**
 * Whether somebody relies on exactly this manifest. A lease whose manifest is gone had lapsed before and was renewed too
 * late: its reader finds out by itself.
 */
export function isOwed(id: ManifestId, newest: Manifest, pins: readonly ListedPin[]): boolean {
  if (newest.checkpoints.some((checkpoint) => checkpoint.manifestId === id)) return true
  return pins.some((pin) => pin.holder.kind !== 'lease' && protects(pin, id))
}
