import { MoraineError } from '@moraine/base'
import type { ManifestId } from '../layout/numbers.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'

/** How somebody's pins are made and given up. */
export interface Pinning<PinHandle> {
  acquire(manifestId: ManifestId, scope: 'from' | 'only'): Promise<PinHandle>
  release(pin: PinHandle): Promise<void>
}

/**
 * Pins the newest manifest exactly, and reads it. Order, and the reason for each step:
 *
 *   1. Create an exact pin of the newest manifest known.
 *   2. List again. While it is still the newest, no collector can have judged by a later one before the pin was there, so
 *      everything it names is there and stays. This is nearly always so.
 *   3. Otherwise the writer is busy, and could stay ahead for ever: an open pin of the manifest just seen protects
 *      whatever comes after it. The exact one is given up, and the listing repeated.
 *   4. Narrow the open pin to the manifest found, so that it keeps nothing later from being collected: first the exact pin,
 *      then the open one goes.
 *
 * Whatever fails in between gives its pins up, or lets them lapse.
 */
export async function pinNewest<PinHandle>(
  manifests: ManifestStore,
  pinning: Pinning<PinHandle>,
  seen: ManifestId,
  signal?: AbortSignal,
): Promise<{ manifest: Manifest; pin: PinHandle }> {
  let pin = await pinning.acquire(seen, 'only')
  try {
    let newest = await newestId(manifests, signal)
    if (newest !== seen) {
      const open = await pinning.acquire(newest, 'from')
      await pinning.release(pin)
      pin = open
      newest = await newestId(manifests, signal)
      pin = await pinning.acquire(newest, 'only')
      await pinning.release(open)
    }
    const manifest = await manifests.read(newest, signal)
    if (manifest?.destroyed === true) throw new MoraineError('CONFLICT', 'the database is being destroyed')
    if (manifest !== undefined) return { manifest, pin }
    throw new MoraineError('CORRUPTION', `manifest ${newest} was listed and pinned, and is not there`, { detail: { manifest: newest } })
  } catch (error) {
    await pinning.release(pin)
    throw error
  }
}

async function newestId(manifests: ManifestStore, signal: AbortSignal | undefined): Promise<ManifestId> {
  const id = await manifests.newestId(signal)
  if (id === undefined) throw new MoraineError('CORRUPTION', 'the manifests of the database are gone: has it been destroyed?')
  return id
}
