import type { MemoryAccount } from '@moraine/base'
import type { ObjectStore, RequestAccount } from '@moraine/object-store'
import { NO_RIDER } from '../flush/commit-rider.ts'
import { Flusher } from '../flush/flusher.ts'
import type { Manifest } from '../manifest/manifest.ts'
import type { ManifestStore } from '../manifest/manifest-store.ts'
import type { ManifestChange, VersionSet } from '../manifest/version-set.ts'
import type { Memtable } from '../memtable/memtable.ts'
import type { ViewRegistry } from '../read/read-view.ts'
import type { ByteWork } from '../table/byte-work.ts'
import type { TableWriter } from '../table/table-writer.ts'
import type { LocalWalFolder } from '../wal/local-wal-folder.ts'
import { replayStoreWal } from '../wal/store-wal-replay.ts'
import { type EndedLog, endLogs } from '../wal/store-wal-takeover.ts'
import type { BuildRules } from './build-rules.ts'
import type { MemtableLedger } from '../write/memtable-ledger.ts'
import type { EmitEvent } from './engine-event.ts'
import type { EngineSettings } from './engine-settings.ts'
import { type ReplayTarget, replayLog } from './replay.ts'

export interface LogRecovery {
  readonly settings: EngineSettings
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  /** The new owner's first manifest. */
  readonly manifest: Manifest
  readonly versions: VersionSet
  /** Replayed writes go into its active memtable. */
  readonly views: ViewRegistry
  readonly tableWriter: TableWriter
  readonly byteWork: ByteWork
  readonly rules: BuildRules
  /** The local log that continues the manifest, if there is one on this machine. */
  readonly folder: LocalWalFolder | undefined
  readonly newMemtable: () => Memtable
  readonly memory: MemoryAccount
  readonly ledger: MemtableLedger
  readonly emit: EmitEvent
  /** Charged for the flushes of what memory has no room for. */
  readonly account: RequestAccount
  readonly signal: AbortSignal | undefined
}

export interface RecoveredLogs {
  readonly lastSeq: number
  /** Writes that came from logs in the store, and from the local one. */
  readonly storeWrites: number
  readonly localWrites: number
}

/**
 * Brings the writes of earlier owners' logs back, whatever the kind of log that the new owner keeps. First nobody may
 * add to those logs any more, then they are read: the logs in the store, then the local one. That is their order in
 * history: an owner with a log in the store flushes what it replayed from a local log before it takes writes, so a local
 * log with something unflushed was written after every log in the store.
 *
 * A log is bounded by what its owner could hold in memory, which may be more than we can: full memtables are flushed
 * while the replay goes on. Their commits keep every log listed, so a crash meanwhile only makes the next replay shorter.
 */
export async function recoverLogs(recovery: LogRecovery): Promise<RecoveredLogs> {
  const { settings, store, manifest, folder, signal } = recovery
  const { clock, random } = settings
  const { databaseId, epoch, flushedSeq } = manifest
  const inherited = manifest.walEpochs.filter((log) => log.epoch < epoch)
  await folder?.fence(epoch)
  const logs = await endLogs({ store, databaseId, byEpoch: epoch, clock, random, signal }, inherited)
  await confirmOwnership(recovery, logs)

  const filler = new MemtableFiller(recovery)
  const records = replayStoreWal({ store, databaseId, logs, flushedSeq, lastUsedSeq: manifest.lastSeq, signal })
  const stored = await replayLog(records, flushedSeq, filler)
  const local =
    folder === undefined
      ? { lastSeq: stored.lastSeq, writes: 0 }
      : await replayLog(folder.replay(stored.lastSeq), stored.lastSeq, filler)
  await filler.finish()
  return {
    lastSeq: Math.max(manifest.lastSeq, local.lastSeq),
    storeWrites: stored.writes,
    localWrites: local.writes,
  }
}

/**
 * Step 4 of the takeover: the newest manifest must be ours still. Logs that hold nothing are dropped from the list on the
 * way: they need no replay, and owners that die young must not make every opening after them longer.
 */
async function confirmOwnership({ manifests, manifest, versions, signal }: LogRecovery, logs: readonly EndedLog[]): Promise<void> {
  const empty = new Set(logs.filter(({ firstSegment, end }) => firstSegment === end).map(({ epoch }) => epoch))
  if (empty.size > 0) {
    const change = (current: Manifest): ManifestChange => ({ walEpochs: current.walEpochs.filter(({ epoch }) => !empty.has(epoch)) })
    await versions.commit(change, () => {}, signal)
  } else if (logs.length > 0) {
    await manifests.verifyNewest(manifest, signal)
  }
}

/** Takes replayed writes into memtables, and flushes those that memory has no room for. */
class MemtableFiller implements ReplayTarget {
  readonly #recovery: LogRecovery
  #flusher: Flusher | undefined
  #failure: unknown

  constructor(recovery: LogRecovery) {
    this.#recovery = recovery
  }

  active(): Memtable {
    return this.#recovery.views.current.active
  }

  afterRecord(): Promise<void> | undefined {
    const { views, settings, newMemtable, ledger } = this.#recovery
    const { active, sealed } = views.current
    ledger.refresh()
    if (active.memoryBytes < settings.memtableSizeBytes) return undefined
    views.install({ active: newMemtable(), sealed: [active, ...sealed] })
    if (sealed.length < settings.maxSealedMemtables) return undefined
    this.#flusher ??= this.#newFlusher()
    this.#flusher.kick()
    return this.#flusher.flushed((sealed.at(-1) as Memtable).largestSeq)
  }

  /** The engine has a flusher of its own, and one at a time may commit. */
  async finish(): Promise<void> {
    await this.#flusher?.drained()
    if (this.#failure !== undefined) throw this.#failure
  }

  #newFlusher(): Flusher {
    const { views, versions, tableWriter, byteWork, memory, ledger, settings, rules, emit, account } = this.#recovery
    const { clock } = settings
    const signal = this.#recovery.signal ?? new AbortController().signal
    return new Flusher({
      views,
      versions,
      tableWriter,
      rules,
      clock,
      byteWork,
      memory,
      onReleased: () => ledger.refresh(),
      rider: NO_RIDER,
      account,
      riderAccount: account,
      onFlushed: (report) => emit('flush', report),
      onRetry: (error) => emit('error', { error, willRetry: true }),
      onFailed: (error) => {
        this.#failure = error
      },
      mayRelease: () => false,
      walEpochs: (current) => current.walEpochs,
      signal,
    })
  }
}
