import { MoraineError } from '@moraine/base'
import { keyOfText, type KeyText } from '../key/key-text.ts'
import { DEFAULT_KEYSPACE, keyspaceOf } from '../key/keyspace.ts'
import { printableRange, printableText, type TextRange } from '../key/text-range.ts'
import type { ConflictWatch } from './conflict-window.ts'
import type { OwnWrites } from './own-writes.ts'
import type { ReadSet } from './read-set.ts'
import type { Durability, WritePath } from './write-path.ts'

/** A transaction that is to be committed. */
export interface TransactionWork {
  /** Since the transaction's snapshot. */
  readonly watch: ConflictWatch
  readonly own: OwnWrites
  /** What has to stand at the commit as it was read; undefined at snapshot isolation. */
  readonly reads: ReadSet | undefined
  /** The own writes with their times of expiry, as they are at the commit. */
  operations(): { readonly operations: Uint8Array; readonly count: number }
}

/**
 * First committer wins. The check and the write are one synchronous step, taken in the write's turn: behind the writes that
 * were held back before it, which may be the ones it conflicts with. While it waits for its turn an abort removes it; after
 * that nothing can take it back. Without writes there is nothing to wait for.
 */
export function commitTransaction(
  writes: WritePath,
  work: TransactionWork,
  durability: Durability | undefined,
  signal?: AbortSignal,
  onTaken?: () => void,
): Promise<void> {
  if (work.own.isEmpty) {
    ensureCurrent(work)
    return Promise.resolve()
  }
  const { operations, count } = work.operations()
  const admit = (): boolean => {
    ensureCurrent(work)
    // Its own writes need not be recorded for itself.
    work.watch.close()
    onTaken?.()
    return true
  }
  return writes.writeIf(operations, count, admit, durability, signal)
}

/** CONFLICT when something that the transaction rests on was written since its snapshot. */
function ensureCurrent({ watch, own, reads }: TransactionWork): void {
  if (own.isEmpty && reads === undefined) return
  if (watch.overrun) throw overrunError(watch)
  for (const key of own.keys) if (watch.keyWritten(key)) throw conflictError(watch, 'writes', key)
  const overwritten = watch.writtenIn(own.deletedRanges)
  if (overwritten !== undefined) throw conflictError(watch, 'deletes', overwritten.key, overwritten.range)
  const stale = reads?.firstWritten(watch)
  if (stale !== undefined) throw conflictError(watch, 'has read', stale.key, stale.range)
}

function conflictError({ seq }: ConflictWatch, did: string, key: KeyText, range?: TextRange): MoraineError {
  const where = range === undefined ? '' : ` ${printableRange(range)}, and`
  const keyspace = keyspaceOf(keyOfText(key))
  const what = range === undefined ? `key '${printableText(key)}'` : `the range${where} key '${printableText(key)}'`
  const place = keyspace === DEFAULT_KEYSPACE ? '' : ` of keyspace '${keyspace}'`
  return new MoraineError('CONFLICT', `the transaction ${did} ${what}${place}, which another writer has written since it began: run it again`, {
    detail: {
      key: printableText(key),
      range: range === undefined ? undefined : printableRange(range),
      keyspace: keyspace === DEFAULT_KEYSPACE ? undefined : keyspace,
      began: seq,
    },
  })
}

function overrunError({ seq }: ConflictWatch): MoraineError {
  return new MoraineError(
    'CONFLICT',
    'so much was written while the transaction was open that its conflicts can no longer be told: run it again, keep it shorter, or raise conflictWindowSizeBytes',
    { detail: { began: seq } },
  )
}
