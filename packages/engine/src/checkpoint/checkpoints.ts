import { type Clock, Deferred, MoraineError, type Random, randomHex } from '@moraine/base'
import { addTally, costOf, subtractTally, type RequestAccount, type RequestCost, type RequestTally } from '@moraine/object-store'
import type { CommitRider } from '../flush/commit-rider.ts'
import { type ManifestId, nextManifest } from '../layout/numbers.ts'
import { findCheckpoint, liveCheckpoints } from '../manifest/live-checkpoints.ts'
import type { CheckpointRecord, Manifest } from '../manifest/manifest.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import { diffVersions, type VersionDiff } from './diff-versions.ts'

/** What a checkpoint is to be: checked by the caller. */
export interface CheckpointRequest {
  readonly name: string | undefined
  /** JSON text. */
  readonly metadata: string
  readonly ttlMs: number | undefined
}

/** A checkpoint that was taken. */
export interface CheckpointReport {
  readonly id: string
  readonly name: string | undefined
  readonly manifestId: number
  /** From the call to the commit, milliseconds. */
  readonly durationMs: number
  /** Of the flushes that brought the delta to the store, and of the commit. */
  readonly cost: RequestCost
}

export interface CheckpointsOptions {
  readonly versions: VersionSet
  readonly readManifest: (id: ManifestId, signal: AbortSignal, account: RequestAccount) => Promise<Manifest | undefined>
  /** Seals the memtable; gives the sequence number up to which the store must have everything. */
  readonly seal: () => number
  /** Makes the flusher look. */
  readonly kick: () => void
  readonly onListed: (report: CheckpointReport) => void
  /** What flushes are charged to; commits of checkpoints alone; and everything else that is done with checkpoints. */
  readonly accounts: { readonly flush: RequestAccount; readonly commit: RequestAccount; readonly checkpoint: RequestAccount }
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
}

interface PendingCheckpoint {
  readonly seq: number
  readonly record: Omit<CheckpointRecord, 'manifestId'>
  readonly askedMs: number
  /** What flushes and commits had taken when it was asked for. */
  readonly before: RequestTally
  readonly listed: Deferred<CheckpointRecord>
}

/**
 * Every manifest carries the list of checkpoints, so that one GET shows them all; this much keeps a manifest small.
 * Counted are names, metadata and a fixed part per checkpoint.
 */
export const MOST_CHECKPOINT_BYTES: number = 128 * 1024
const FIXED_BYTES = 64

/**
 * The checkpoints of a running database. Order of taking one, and the reason for each step:
 *
 *   1. Seal the memtable, in the very call: what was written before is part of the checkpoint, what is written after it
 *      is not. This is the only moment in which writers wait, and nothing is awaited in it.
 *   2. The flusher uploads what is sealed, oldest first. Only the delta travels.
 *   3. The commit of the last of these flushes lists the checkpoint: the manifest that first lists it is the one whose
 *      state it is, so a checkpoint whose files are not all there cannot be seen. With nothing to flush it gets a commit
 *      of its own, before the flusher goes past its point of the history.
 *
 * A crash at any point leaves either no checkpoint or a whole one.
 */
export class Checkpoints implements CommitRider {
  readonly #options: CheckpointsOptions
  #pending: PendingCheckpoint[] = []
  #stopped: unknown

  constructor(options: CheckpointsOptions) {
    this.#options = options
  }

  /** Those listed and not expired, oldest first. */
  list(): readonly CheckpointRecord[] {
    return liveCheckpoints(this.#options.versions.current.checkpoints, this.#options.clock.nowMs())
  }

  /** Takes a checkpoint of everything written so far. CONFLICT when the name is in use. */
  take(request: CheckpointRequest): Promise<CheckpointRecord> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped)
    const { clock, random } = this.#options
    const createdAtMs = clock.nowMs()
    const record = {
      id: randomHex(random, 8),
      name: request.name,
      createdAtMs,
      expiresAtMs: request.ttlMs === undefined ? undefined : createdAtMs + request.ttlMs,
      metadata: request.metadata,
    }
    this.#admit(record)
    const listed = new Deferred<CheckpointRecord>()
    this.#pending.push({ seq: this.#options.seal(), record, askedMs: clock.monotonicMs(), before: this.#spent(), listed })
    this.#options.kick()
    return listed.promise
  }

  /** INVALID when there is no such checkpoint. */
  get(idOrName: string): CheckpointRecord {
    const found = findCheckpoint(this.list(), idOrName)
    if (found !== undefined) return found
    throw unknownCheckpoint(idOrName, this.list())
  }

  /** Takes a checkpoint off the list; its files are collected later. One commit. */
  async delete(idOrName: string): Promise<void> {
    this.get(idOrName)
    await this.#options.versions.commit(
      (current) => {
        const gone = findCheckpoint(current.checkpoints, idOrName)
        return { checkpoints: current.checkpoints.filter((checkpoint) => checkpoint !== gone) }
      },
      () => {},
      this.#options.signal,
      this.#options.accounts.checkpoint,
    )
  }

  /** The state of a checkpoint: the manifest that first listed it. */
  async manifestOf(
    checkpoint: CheckpointRecord,
    signal: AbortSignal = this.#options.signal,
    account: RequestAccount = this.#options.accounts.checkpoint,
  ): Promise<Manifest> {
    const { versions, readManifest } = this.#options
    const { current } = versions
    if (current.id === checkpoint.manifestId) return current
    const manifest = await readManifest(checkpoint.manifestId, signal, account)
    if (manifest !== undefined) return manifest
    throw missingManifest(checkpoint)
  }

  /** What `to` has and `from` has not, and the other way round; without `to` the present. */
  async diff(from: string, to: string | undefined): Promise<VersionDiff> {
    const older = await this.manifestOf(this.get(from))
    const newer = to === undefined ? this.#options.versions.current : await this.manifestOf(this.get(to))
    return diffVersions(older.version, newer.version)
  }

  isDue(flushedSeq: number): boolean {
    return this.#pending.some(({ seq }) => seq <= flushedSeq)
  }

  board(current: Manifest, flushedSeq: number): { checkpoints: readonly CheckpointRecord[]; arrived: () => void } | undefined {
    const due = this.#pending.filter(({ seq }) => seq <= flushedSeq)
    if (due.length === 0) return undefined
    const manifestId = nextManifest(current.id)
    const boarded = due.map((pending) => ({ ...pending, record: { ...pending.record, manifestId } }))
    const arrived = (): void => {
      this.#pending = this.#pending.filter((pending) => !due.includes(pending))
      const nowMs = this.#options.clock.monotonicMs()
      const spent = this.#spent()
      const { prices } = this.#options.accounts.flush
      for (const { record, askedMs, before, listed } of boarded) {
        listed.resolve(record)
        const cost = costOf(subtractTally(spent, before), prices)
        this.#options.onListed({ id: record.id, name: record.name, manifestId, durationMs: nowMs - askedMs, cost })
      }
    }
    return { checkpoints: [...current.checkpoints, ...boarded.map(({ record }) => record)], arrived }
  }

  stop(error: unknown): void {
    this.#stopped ??= error
    for (const { listed } of this.#pending.splice(0)) listed.reject(error)
  }

  /** Flushes run one at a time, and none goes past a checkpoint that waits: what they take meanwhile is its delta. */
  #spent(): RequestTally {
    const { flush, commit } = this.#options.accounts
    return addTally(flush.tally(), commit.tally())
  }

  /** Refuses a checkpoint that cannot be listed, before anything is sealed for it. */
  #admit(record: Omit<CheckpointRecord, 'manifestId'>): void {
    const others = [...this.list(), ...this.#pending.map((pending) => pending.record)]
    const namesake = record.name === undefined ? undefined : others.find(({ id, name }) => name === record.name || id === record.name)
    if (namesake !== undefined) {
      throw new MoraineError(
        'CONFLICT',
        `there is a checkpoint '${record.name}' already (${namesake.id}): delete it first, or choose another name`,
        { detail: { checkpoint: namesake.id } },
      )
    }
    const bytes = [...others, record].reduce((sum, other) => sum + listedBytes(other), 0)
    if (bytes <= MOST_CHECKPOINT_BYTES) return
    throw new MoraineError(
      'INVALID',
      `the names and metadata of ${others.length + 1} checkpoints would take ${bytes} bytes of every manifest, and ${MOST_CHECKPOINT_BYTES} is the most: delete old checkpoints, or keep large metadata in the database itself`,
      { detail: { bytes, most: MOST_CHECKPOINT_BYTES } },
    )
  }
}

/** The error for an id or name that no listed checkpoint has. */
export function unknownCheckpoint(idOrName: string, listed: readonly CheckpointRecord[]): MoraineError {
  const known = listed.slice(-5).map(({ id, name }) => name ?? id)
  const hint = known.length === 0 ? 'there are none' : `the newest are ${known.join(', ')}`
  return new MoraineError('INVALID', `there is no checkpoint '${idOrName}', or it has expired; ${hint}`, {
    detail: { checkpoint: idOrName },
  })
}

/** The error for a listed checkpoint whose manifest is not there. */
export function missingManifest(checkpoint: CheckpointRecord): MoraineError {
  return new MoraineError(
    'CORRUPTION',
    `manifest ${checkpoint.manifestId}, the state of checkpoint '${checkpoint.name ?? checkpoint.id}', is missing from the store: this checkpoint is lost, use another one`,
    { detail: { checkpoint: checkpoint.id, manifest: checkpoint.manifestId } },
  )
}

function listedBytes({ name, metadata }: { name: string | undefined; metadata: string }): number {
  return Buffer.byteLength(metadata) + Buffer.byteLength(name ?? '') + FIXED_BYTES
}
