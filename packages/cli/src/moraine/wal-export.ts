import type { SstEntry } from '@moraine/sstable'
import { visitOperations, type WalRecord } from 'moraine/inspect'
import { ExitCode } from '../terminal/exit-code.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { entryJson, entryText } from '../text/entry-text.ts'
import { openLog } from './open-log.ts'
import type { MoraineOptions } from './options.ts'

/**
 * Prints the writes of a local log, oldest first. What stands in front of damage is printed before the damage is
 * reported.
 */
export async function walExport({ target, json, notation, after }: MoraineOptions, { output }: Terminal): Promise<ExitCode> {
  const { log, start } = await openLog(target)
  const above = Math.max(start, after ?? 0)
  for await (const record of log.replay(above)) {
    for (const entry of writesOf(record)) {
      if (entry.seq <= above) continue
      const wait = output.line(json ? JSON.stringify(entryJson(entry, notation)) : entryText(entry, notation))
      if (wait !== undefined) await wait
    }
  }
  return ExitCode.ok
}

function writesOf({ firstSeq, payload }: WalRecord): SstEntry[] {
  const writes: SstEntry[] = []
  visitOperations(payload, 'a log record', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
    const key = bytes.subarray(keyStart, keyEnd)
    writes.push({ key, seq: firstSeq + writes.length, kind, value: bytes.subarray(valueStart, valueEnd) })
  })
  return writes
}
