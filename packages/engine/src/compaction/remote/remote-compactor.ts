import { type Clock, isMoraineError, MoraineError, type Random, sleep } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import { blobName, type JobId, jobOfFile, MOST_ATTEMPTS, newJobBlobSeed, newJobFileId, sstName } from '../../layout/object-names.ts'
import type { ManifestId } from '../../layout/numbers.ts'
import { type CompactionJob, openJobs } from '../../manifest/manifest.ts'
import type { ManifestStore } from '../../manifest/manifest-store.ts'
import type { TableFile } from '../../manifest/table-file.ts'
import { levelBytes } from '../../manifest/version.ts'
import type { ByteWork } from '../../table/byte-work.ts'
import type { TableStore } from '../../table/table-store.ts'
import { TableWriter } from '../../table/table-writer.ts'
import { JobObjects, Standstill } from './job-objects.ts'
import { encodeJobResult } from './job-result.ts'
import { decodeJobWork, type JobWork } from './job-work.ts'

/** What a remote compactor does. Sizes in bytes. */
export type RemoteCompactorEvent =
  | { readonly what: 'claimed'; readonly job: string; readonly attempt: number; readonly inputFiles: number; readonly inputBytes: number }
  | { readonly what: 'finished'; readonly job: string; readonly attempt: number; readonly outputFiles: number; readonly outputBytes: number }
  /** The owner wants the result no more. */
  | { readonly what: 'dropped'; readonly job: string; readonly attempt: number }
  | { readonly what: 'failed'; readonly job: string; readonly attempt: number; readonly error: MoraineError }
  /** The store did not answer, and is asked again. */
  | { readonly what: 'retry'; readonly error: MoraineError }

export interface RemoteCompactorOptions {
  /** The database's own prefix. */
  readonly store: ObjectStore
  readonly manifests: ManifestStore
  readonly tables: TableStore
  readonly byteWork: ByteWork
  readonly clock: Clock
  readonly random: Random
  readonly onEvent: (event: RemoteCompactorEvent) => void
}

const BEATS_PER_LEASE = 4

/**
 * Carries out compactions that the owner of a database offers: see `remote-offers.ts` for the protocol. It commits
 * nothing and deletes nothing but its own unnamed outputs, so however it ends, and whatever it does too late, the
 * database is as if it had not been there.
 */
export class RemoteCompactor {
  readonly #options: RemoteCompactorOptions
  #seen: { readonly id: ManifestId; readonly jobs: readonly CompactionJob[] } | undefined
  readonly #watched = new Map<JobId, Standstill>()
  /** What failed here would fail here again. */
  readonly #failed = new Set<JobId>()

  constructor(options: RemoteCompactorOptions) {
    this.#options = options
  }

  /** Looks for work every `pollMs`, or only once and until there is none; ends when `signal` fires. */
  async run(options: { readonly once: boolean; readonly pollMs: number; readonly signal: AbortSignal }): Promise<void> {
    const { clock, onEvent } = this.#options
    const { once, pollMs, signal } = options
    while (!signal.aborted) {
      try {
        if (await this.step(signal)) continue
      } catch (error) {
        if (signal.aborted) return
        if (once || !isMoraineError(error, 'UNAVAILABLE')) throw error
        onEvent({ what: 'retry', error })
      }
      if (once) return
      await sleep(clock, pollMs, signal).catch(() => {})
    }
  }

  /** Claims one job, if any is to be had, and does it; false when there was none. */
  async step(signal: AbortSignal): Promise<boolean> {
    const jobs = await this.#openJobs(signal)
    for (const id of this.#watched.keys()) if (!jobs.some((job) => job.id === id)) this.#watched.delete(id)
    for (const job of jobs) {
      if (this.#failed.has(job.id)) continue
      const work = decodeJobWork(job.work, `job ${job.id}`)
      const objects = new JobObjects(job.id, this.#options)
      const attempt = await this.#claim(job.id, work, objects, signal)
      if (attempt === undefined) continue
      await this.#carryOut(job.id, attempt, work, objects, signal)
      return true
    }
    return false
  }

  async #openJobs(signal: AbortSignal): Promise<readonly CompactionJob[]> {
    const { manifests } = this.#options
    if (this.#seen !== undefined && (await manifests.newestId(signal)) === this.#seen.id) return this.#seen.jobs
    const manifest = await manifests.readNewest(signal)
    if (manifest === undefined) throw new MoraineError('INVALID', `there is no database at ${this.#options.store.url}`)
    this.#seen = { id: manifest.id, jobs: openJobs(manifest) }
    return this.#seen.jobs
  }

  async #claim(id: JobId, { leaseMs }: JobWork, objects: JobObjects, signal: AbortSignal): Promise<number | undefined> {
    const sight = await objects.look(signal)
    const standstill = this.#watched.get(id) ?? new Standstill(this.#options.clock)
    this.#watched.set(id, standstill)
    const stillMs = standstill.stillMs(sight)
    if (sight.results.length > 0 || sight.attempt === MOST_ATTEMPTS) return undefined
    if (sight.attempt > 0 && stillMs < leaseMs) return undefined
    const attempt = sight.attempt + 1
    return (await objects.claim(attempt, signal)) ? attempt : undefined
  }

  async #carryOut(job: JobId, attempt: number, work: JobWork, objects: JobObjects, signal: AbortSignal): Promise<void> {
    const { onEvent, store } = this.#options
    const inputs = work.merge.runs.flat()
    onEvent({ what: 'claimed', job, attempt, inputFiles: inputs.length, inputBytes: levelBytes(inputs) })
    const stop = new AbortController()
    const working = AbortSignal.any([signal, stop.signal])
    const beating = this.#beat(job, attempt, work, objects, stop, working)
    const outputs: TableFile[] = []
    let failure: unknown
    try {
      await this.#build(job, attempt, work, outputs, working)
      // For an owner who has moved on it would only be garbage.
      if (!(await this.#isOpen(job, working))) stop.abort(takenBack())
      working.throwIfAborted()
    } catch (error) {
      failure = error
    }
    if (failure === undefined) {
      // From the first try on the result may be there: whatever comes of it, the outputs are not ours to delete any more.
      await objects.putResult(attempt, encodeJobResult(outputs, work.outputLevel), signal).finally(() => stop.abort(takenBack()))
      await beating
      onEvent({ what: 'finished', job, attempt, outputFiles: outputs.length, outputBytes: levelBytes(outputs) })
      return
    }
    const dropped = stop.signal.aborted || !(await this.#isOpen(job, signal).catch(() => true))
    stop.abort(takenBack())
    await beating
    if (!signal.aborted) await store.deleteMany(outputs.flatMap((file) => namesOf(job, file)), { signal }).catch(() => {})
    signal.throwIfAborted()
    if (dropped) return onEvent({ what: 'dropped', job, attempt })
    if (!isMoraineError(failure)) throw failure
    this.#failed.add(job)
    onEvent({ what: 'failed', job, attempt, error: failure })
  }

  /** Builds and uploads the outputs. */
  async #build(job: JobId, attempt: number, work: JobWork, outputs: TableFile[], signal: AbortSignal): Promise<void> {
    const { store, tables, byteWork, clock, random } = this.#options
    const newId = () => newJobFileId(job, attempt, random)
    const tableWriter = new TableWriter({ store, tables, clock, newId })
    try {
      const blobs = work.merge.blobs && { ...work.merge.blobs, seed: newJobBlobSeed(job, attempt, random) }
      for await (const table of byteWork.merge({ ...work.merge, blobs }, signal)) {
        const file = await tableWriter.upload(table, signal)
        tables.forget(file.id)
        // The owner's clock is the one that counts.
        outputs.push({ ...file, createdAtMs: work.merge.writer.createdAtMs })
      }
    } finally {
      for (const { id } of work.merge.runs.flat()) tables.forget(id)
    }
  }

  /** Shows that this attempt lives, and looks whether anybody still wants it. */
  async #beat(job: JobId, attempt: number, { leaseMs }: JobWork, objects: JobObjects, stop: AbortController, signal: AbortSignal): Promise<void> {
    for (let count = 1; !signal.aborted; count++) {
      try {
        await objects.beat(attempt, count, signal)
        if (!(await this.#isOpen(job, signal))) stop.abort(takenBack())
      } catch {
        // A beat that is lost costs the attempt at worst.
      }
      await sleep(this.#options.clock, leaseMs / BEATS_PER_LEASE, signal).catch(() => {})
    }
  }

  async #isOpen(job: JobId, signal: AbortSignal): Promise<boolean> {
    return (await this.#openJobs(signal)).some(({ id }) => id === job)
  }
}

/** A table and the blob files that were written for it. */
function namesOf(job: JobId, { id, blobs = [] }: TableFile): string[] {
  return [sstName(id), ...blobs.filter((link) => jobOfFile(link.id) === job).map((link) => blobName(link.id))]
}

function takenBack(): MoraineError {
  return new MoraineError('ABORTED', 'the job was closed by the owner of the database')
}
