import { type CallLimits, MoraineError, throwIfAborted } from '@moraine/base'
import { checkTtl } from '../batch/limits.ts'
import type { WriteCondition } from '../write/conditional-write.ts'
import type { Durability } from '../write/write-path.ts'
import { limitChecks } from './call-options.ts'
import { booleanOption, checkOptions, integerOption, oneOfOption, type OptionChecks } from './option-checks.ts'

/**
 * At a limit, a write that is held back is withdrawn without a trace. One that has been taken in cannot be recalled: its
 * promise rejects with ABORTED and `detail.taken`, and the write may be durable.
 */
export interface WriteOptions extends CallLimits {
  /**
   * What the returned promise waits for: `memory` nothing, `log` the write-ahead log (the default; with `wal: 'none'`
   * that is memory), `store` the object store. All writes enter the log in order whatever they wait for.
   */
  readonly durability?: Durability
}

export interface DeleteOptions extends WriteOptions {
  /** Only if this write made the present value: what `getEntry` gave as `version`. */
  readonly ifVersion?: number
}

export interface MergeOptions extends WriteOptions {
  /**
   * The entry is not to be seen any more that many milliseconds after the write; Infinity: it never expires. Default: the
   * TTL of the keyspace, or never.
   */
  readonly ttlMs?: number
}

export interface PutOptions extends DeleteOptions, MergeOptions {
  /** Only if the key is absent. Not together with `ifVersion`. */
  readonly ifAbsent?: boolean
}

const writeChecks: OptionChecks<WriteOptions> = {
  durability: oneOfOption('memory', 'log', 'store'),
  ...limitChecks,
}
const deleteChecks: OptionChecks<DeleteOptions> = { ...writeChecks, ifVersion: integerOption(0, Number.MAX_SAFE_INTEGER) }
const mergeChecks: OptionChecks<MergeOptions> = { ...writeChecks, ttlMs: () => undefined }
const putChecks: OptionChecks<PutOptions> = { ...deleteChecks, ...mergeChecks, ifAbsent: booleanOption }

/** Checks the options of a call that writes; throws when the signal has fired already. */
export function checkWriteOptions(call: string, options: WriteOptions | undefined): void {
  if (options === undefined) return
  checkOptions(call, options, writeChecks)
  throwIfAborted(options.signal)
}

export function checkMergeOptions(options: MergeOptions | undefined): void {
  if (options === undefined) return
  checkOptions('merge', options, mergeChecks)
  if (options.ttlMs !== undefined) checkTtl(options.ttlMs)
  throwIfAborted(options.signal)
}

/** The same for `put`; gives the condition, when there is one. */
export function putCondition(options: PutOptions | undefined): WriteCondition | undefined {
  if (options === undefined) return undefined
  checkOptions('put', options, putChecks)
  if (options.ttlMs !== undefined) checkTtl(options.ttlMs)
  throwIfAborted(options.signal)
  if (options.ifAbsent !== true) return versionCondition(options)
  if (options.ifVersion === undefined) return { kind: 'absent' }
  throw new MoraineError('INVALID', 'put takes ifAbsent or ifVersion, not both: an absent key has no version', {
    detail: { option: 'ifAbsent' },
  })
}

export function deleteCondition(options: DeleteOptions | undefined): WriteCondition | undefined {
  if (options === undefined) return undefined
  checkOptions('delete', options, deleteChecks)
  throwIfAborted(options.signal)
  return versionCondition(options)
}

function versionCondition({ ifVersion }: DeleteOptions): WriteCondition | undefined {
  return ifVersion === undefined ? undefined : { kind: 'version', version: ifVersion }
}
