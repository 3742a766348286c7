import type { MoraineError, Random } from '@moraine/base'
import { DiskCache, type DiskCacheSettings } from '../table/disk-cache/disk-cache.ts'

/** The disk cache that the settings ask for, still to be opened; its problems become events and never errors. */
export function newDiskCache(
  { diskCache, random }: { readonly diskCache: DiskCacheSettings | undefined; readonly random: Random },
  emit: (name: 'error', payload: { readonly error: MoraineError; readonly willRetry: boolean }) => void,
): DiskCache | undefined {
  if (diskCache === undefined) return undefined
  return new DiskCache({ ...diskCache, random, onError: (error) => emit('error', { error, willRetry: false }) })
}
