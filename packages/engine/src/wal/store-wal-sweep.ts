import type { ObjectStore } from '@moraine/object-store'
import { parseWalName, WAL_PREFIX } from '../layout/object-names.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { STORE_WAL_HEADER_BYTES } from './store-wal-segment.ts'

/**
 * Deletes the segments of owners before this one whose logs `manifest`, which is committed, does not list any more: they
 * are flushed, and no later manifest lists them again. Fences stay (see store-wal-takeover.ts); an object as short as a
 * header is one, because a segment holds a record. One LIST for a thousand objects, one request to delete as many.
 */
export async function sweepStoreWal(
  store: ObjectStore,
  manifest: Manifest,
  signal?: AbortSignal,
): Promise<{ deleted: number; fences: number }> {
  const listed = new Set(manifest.walEpochs.map(({ epoch }) => epoch))
  let deleted = 0
  let fences = 0
  let token: string | undefined
  do {
    const page = await store.list(WAL_PREFIX, { token, signal })
    const names: string[] = []
    for (const { key, sizeBytes } of page.objects) {
      const parsed = parseWalName(key)
      if (parsed === undefined || parsed.epoch >= manifest.epoch || listed.has(parsed.epoch)) continue
      if (sizeBytes === STORE_WAL_HEADER_BYTES) fences++
      else names.push(key)
    }
    if (names.length > 0) await store.deleteMany(names, { signal })
    deleted += names.length
    token = page.nextToken
  } while (token !== undefined)
  return { deleted, fences }
}
