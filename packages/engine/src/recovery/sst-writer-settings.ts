import type { SstWriterSettings } from '@moraine/sstable'
import type { EngineSettings } from './engine-settings.ts'

export const ENGINE_VERSION = '0.1.0'

/** How tables of a level are written that are begun now. */
export function sstWriterSettings(settings: EngineSettings, databaseId: string, level: number): SstWriterSettings {
  return {
    blockSizeBytes: settings.blockSizeBytes,
    restartInterval: settings.blockRestartInterval,
    compression: settings.compression[level] ?? settings.compression.at(-1) ?? 'none',
    filterBitsPerKey: settings.filterBitsPerKey,
    createdAtMs: settings.clock.nowMs(),
    engineVersion: ENGINE_VERSION,
    databaseId,
  }
}
