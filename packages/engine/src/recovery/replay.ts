import { MoraineError } from '@moraine/base'
import { visitOperations } from '../batch/batch-codec.ts'
import { insertOperation } from '../memtable/insert-operation.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { WalRecord } from '../wal/wal-record.ts'

export interface ReplayTarget {
  readonly active: () => Memtable
  /** Called between records, so that a long log passes through memory in pieces. */
  readonly afterRecord: () => Promise<void> | undefined
}

/** Puts the writes above `flushedSeq` into memtables; returns the last sequence number and how many there were. */
export async function replayLog(
  records: AsyncIterable<WalRecord>,
  flushedSeq: number,
  target: ReplayTarget,
): Promise<{ lastSeq: number; writes: number }> {
  let lastSeq = flushedSeq
  let writes = 0
  for await (const record of records) {
    let seq = record.firstSeq - 1
    const count = visitOperations(record.payload, 'a log record', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      if (++seq <= flushedSeq) return
      insertOperation(target.active(), seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd)
      writes++
    })
    if (count !== record.count) {
      throw new MoraineError('CORRUPTION', `a log record declares ${record.count} writes and holds ${count}`)
    }
    lastSeq = Math.max(lastSeq, seq)
    const wait = target.afterRecord()
    if (wait !== undefined) await wait
  }
  return { lastSeq, writes }
}
