import { isMoraineError } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { Manifest, WalEpoch } from '../manifest/manifest.ts'
import type { LocalWalFolder } from '../wal/local-wal-folder.ts'
import { StoreWalWriter } from '../wal/store-wal-writer.ts'
import type { WalStats } from '../wal/wal-stats.ts'
import type { WriteLog } from '../write/write-log.ts'
import type { EngineSettings } from './engine-settings.ts'

/** The log of this owner, wherever it is kept. */
export interface EngineLog extends WriteLog {
  /** Where a manifest that has flushed up to `flushedSeq` begins this log; undefined when it is not in the store. */
  position(flushedSeq: number): WalEpoch | undefined
  /** Sequence of the last write that the log has brought to the store; undefined when it is not there. */
  readonly storedSeq: number | undefined
  /** Everything is flushed and the database given back: deletes what can be deleted. */
  tidy(signal: AbortSignal): Promise<void>
  stats(): WalStats
}

export interface LogRequest {
  readonly settings: EngineSettings
  readonly store: ObjectStore
  readonly folder: LocalWalFolder | undefined
  /** The owner's first manifest. */
  readonly manifest: Manifest
  readonly lastSeq: number
}

/** Starts the log of a new owner, after everything before it was replayed. Undefined with `wal: 'none'`. */
export async function startLog({ settings, store, folder, manifest, lastSeq }: LogRequest): Promise<EngineLog | undefined> {
  const { wal, clock, random } = settings
  const { epoch, databaseId } = manifest
  const firstSeq = lastSeq + 1
  if (wal.kind === 'none') return undefined
  if (wal.kind === 'object-store') return storeLog(new StoreWalWriter({ ...wal, store, databaseId, epoch, firstSeq, clock, random }))
  if (folder === undefined) return undefined
  const { sync, syncIntervalMs } = wal
  const writer = await folder.startWriter({ epoch, firstSeq, sync, syncIntervalMs, clock })
  return {
    pipelined: false,
    inStore: false,
    storedSeq: undefined,
    position: () => undefined,
    append: (first, count, payload) => writer.append(first, count, payload),
    rotate: () => writer.rotate(),
    release: (flushedSeq) => writer.release(flushedSeq),
    tidy: () => Promise.resolve(),
    // A disk answers: what is under way ends by itself, and is not acknowledged any more.
    abandon: () => {},
    stats: () => ({ kind: 'local', ...writer.stats() }),
    close: () => writer.close(),
  }
}

function storeLog(writer: StoreWalWriter): EngineLog {
  return {
    pipelined: true,
    inStore: true,
    get storedSeq() {
      return writer.storedSeq
    },
    position: (flushedSeq) => writer.position(flushedSeq),
    append: (first, count, payload) => writer.append(first, count, payload),
    // A segment is deleted when all in it is flushed; it need not end where a memtable does.
    rotate: () => Promise.resolve(),
    release: (flushedSeq) => writer.release(flushedSeq),
    tidy: async (signal) => {
      try {
        await writer.release(Number.MAX_SAFE_INTEGER, { all: true, signal })
      } catch (error) {
        // What stays is flushed and no manifest lists it: the next owner's sweep deletes it.
        if (!isMoraineError(error)) throw error
      }
    },
    abandon: (error) => writer.abandon(error),
    stats: () => ({ kind: 'object-store', ...writer.stats() }),
    close: () => Promise.resolve(),
  }
}
