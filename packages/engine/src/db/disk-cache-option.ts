import { resolve } from 'node:path'
import type { DiskCacheSettings } from '../table/disk-cache/disk-cache.ts'
import { checkOptions, integerOption, type OptionChecks, textOption } from './option-checks.ts'

/** A cache of blocks on the local disk, between memory and the store. */
export interface DiskCacheOption {
  /**
   * Made when it is not there; belongs to one database, and any number of processes that have it open. May be deleted at any
   * moment.
   */
  readonly folder: string
  /** Of all files of this process in the folder; from 1 MiB. Each process that uses the folder at the same time counts for itself. */
  readonly sizeBytes: number
}

const MIB = 1024 * 1024
const sizeOption = integerOption(MIB, 64 * MIB * MIB)

const checks: OptionChecks<DiskCacheOption> = {
  folder: textOption,
  sizeBytes: sizeOption,
}

export function checkDiskCache(value: unknown): string | undefined {
  const { folder, sizeBytes } = (typeof value === 'object' && value !== null ? value : {}) as Partial<DiskCacheOption>
  if (folder === undefined || sizeBytes === undefined) return 'an object { folder, sizeBytes }'
  checkOptions('diskCache', value as DiskCacheOption, checks)
  return undefined
}

export function diskCacheSettings(option: DiskCacheOption | undefined): DiskCacheSettings | undefined {
  return option && { folder: resolve(option.folder), sizeBytes: option.sizeBytes }
}
