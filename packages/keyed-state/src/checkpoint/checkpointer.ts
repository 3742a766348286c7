import { type Clock, Deferred, MoraineError, timeSlices } from '@moraine/base'
import type { Checkpoint, Db, JsonValue } from 'moraine'
import { RECORD_KEY } from '../state/engine-writer.ts'
import type { StateHost } from '../state/state-host.ts'
import type { StoredTimers } from '../timer/timer-service.ts'
import {
  automaticName,
  type CheckpointRecord,
  encodeRecord,
  engineMetadata,
  isAutomaticName,
  type ListedCheckpoint,
  listedCheckpoint,
  plainJson,
  RECORD_FORMAT,
} from './checkpoint-record.ts'
import { staleCheckpoints } from './retention.ts'
import type { SinkTransactions } from './sink.ts'

export interface CheckpointOptions {
  /**
   * Kept with the checkpoint and given back with it: where the sources stand. Any value that JSON can carry; a function is
   * called for it while the state stands still.
   */
  readonly metadata?: JsonValue | (() => JsonValue)
  /** A named checkpoint stays until it is deleted or expires. Unique among those that exist. */
  readonly name?: string
  /** The checkpoint goes that long after it was taken. The newest one stays all the same. */
  readonly ttlMs?: number
}

/** A completed checkpoint. Times in milliseconds since the Unix epoch. */
export interface StateCheckpoint {
  readonly id: string
  /** Ascending. */
  readonly number: number
  readonly name: string | undefined
  readonly metadata: JsonValue
  readonly createdAt: number
  readonly expiresAt: number | undefined
  /** How long the state stood still, after everything under way had ended. */
  readonly pauseMs: number
}

export interface CheckpointerOptions {
  readonly clock: Clock
  readonly transactions: SinkTransactions
  readonly timers: () => StoredTimers
  readonly nextElement: () => number
  /** The record that the backend was opened with. */
  readonly record: CheckpointRecord
  /** The greatest number that any listed checkpoint has. */
  readonly lastNumber: number
  /** How many checkpoints without a name stay. */
  readonly retain: number
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

/** What was captured while the state stood still. */
interface Frozen {
  readonly record: Omit<CheckpointRecord, 'transactions'>
  readonly prepared: Promise<void>
  readonly pauseMs: number
}

/** A checkpoint that the engine is storing; in a box, because a promise in a promise would be waited for. */
interface Sealed {
  readonly record: CheckpointRecord
  readonly taken: Promise<Checkpoint>
}

/**
 * Takes checkpoints. Order, and the reason for each step:
 *
 *   1. Close the gate, in the very call: what was called before belongs to the checkpoint, what is called after does not. Wait
 *      until everything under way has ended.
 *   2. While nothing moves: capture metadata, times and registry, let the sinks draw their lines, and take the set of changed
 *      values as it is. Nothing is encoded, so this takes the same time whatever has changed. Open the gate.
 *   3. Encode the values, in slices, with the job running. One that is changed before its turn is encoded first (see
 *      cell-cache.ts); what is written otherwise meanwhile is held back by the writer.
 *   4. When all sinks have prepared: write the record and begin the engine's checkpoint, in one step (see engine-writer.ts).
 *      From here on the writer holds nothing back, and the next checkpoint may begin.
 *   5. The engine uploads what it does not have in the store yet, and lists the checkpoint. Now it is complete: sinks commit,
 *      and old checkpoints go.
 *
 * A failure before 4 leaves everything as it was: values that were not written count as changed again, and transactions
 * that were prepared go with the next checkpoint.
 */
export class Checkpointer<Key> {
  readonly #host: StateHost<Key>
  readonly #options: CheckpointerOptions
  #lastNumber: number
  /** The newest record that is in the engine. */
  #record: CheckpointRecord
  /** There from step 2 to step 4 of a checkpoint. */
  #sealing: Deferred<void> | undefined

  constructor(host: StateHost<Key>, options: CheckpointerOptions) {
    this.#host = host
    this.#options = options
    this.#record = options.record
    this.#lastNumber = options.lastNumber
  }

  /** Resolves when the checkpoint is complete. */
  async take(options: CheckpointOptions): Promise<StateCheckpoint> {
    const { gate, db } = this.#host
    gate.ensureOutside('checkpoint()')
    const capture = metadataOf(options.metadata)
    const { name, ttlMs } = options
    if (name !== undefined && isAutomaticName(name)) throw new MoraineError('INVALID', `names of checkpoints may not begin with '${automaticName(0).slice(0, -1)}'`)
    const frozen = await gate.standStill(() => this.#freeze(capture, name), () => this.#sealing?.promise)
    const expiresAt = ttlMs === undefined ? undefined : this.#options.clock.nowMs() + ttlMs
    const { record, taken } = await this.#seal(frozen, db, name, expiresAt)
    const listed = listedCheckpoint(await taken) as ListedCheckpoint
    await this.#options.transactions.commit(record.transactions, this.#options.onError)
    await this.deleteStale()
    const { id, createdAt } = listed
    return { id, number: record.number, name, metadata: record.metadata, createdAt, expiresAt, pauseMs: frozen.pauseMs }
  }

  async list(): Promise<ListedCheckpoint[]> {
    return await listCheckpoints(this.#host.db)
  }

  /** INVALID when there is none, and for the newest one, which the backend would open with. */
  async delete(idOrName: string): Promise<void> {
    const listed = await this.list()
    const found = listed.find(({ id, name }) => id === idOrName || name === idOrName)
    if (found === undefined) throw unknownCheckpoint(idOrName, listed)
    if (found === listed.at(-1)) throw new MoraineError('INVALID', 'the newest checkpoint is what the state would be opened with: it cannot be deleted')
    await this.#host.db.deleteCheckpoint(found.id)
  }

  /** Lets old checkpoints go. What cannot be deleted now goes with the next call. */
  async deleteStale(): Promise<void> {
    const { clock, retain, onError } = this.#options
    for (const { id } of staleCheckpoints(await this.list(), retain, clock.nowMs())) {
      await this.#host.db.deleteCheckpoint(id).catch(onError)
    }
  }

  /** Step 2: nothing moves, and nothing is awaited. */
  #freeze(capture: () => JsonValue, name: string | undefined): Frozen {
    const { cache, writer, time, registry, keys } = this.#host
    const { clock, transactions, timers, nextElement } = this.#options
    const startMs = clock.monotonicMs()
    const number = this.#lastNumber + 1
    const record: Frozen['record'] = {
      format: RECORD_FORMAT,
      number,
      name: name ?? automaticName(number),
      keyGroups: keys.groups,
      keyCodec: { name: keys.codec.name, version: keys.codec.version },
      states: registry.list(),
      time: time.stored(),
      timers: timers(),
      nextElement: nextElement(),
      metadata: capture(),
      ...(this.#record.rescale !== undefined && { rescale: this.#record.rescale }),
    }
    this.#lastNumber = number
    const prepared = transactions.prepare(number)
    prepared.catch(() => {})
    cache.freeze()
    writer.freeze()
    this.#sealing = new Deferred()
    return { record, prepared, pauseMs: clock.monotonicMs() - startMs }
  }

  /** Steps 3 and 4. */
  async #seal(frozen: Frozen, db: Db, name: string | undefined, expiresAt: number | undefined): Promise<Sealed> {
    const { cache, writer } = this.#host
    const { clock, signal, transactions } = this.#options
    try {
      if (name !== undefined) await ensureFree(db, name)
      await cache.writeFrozen(timeSlices(clock, signal))
      await writer.sent()
      await frozen.prepared
      const record: CheckpointRecord = { ...frozen.record, transactions: [...transactions.pending] }
      const bytes = encodeRecord(record)
      const before = this.#record
      const taken = writer.seal(bytes, { name: record.name, metadata: engineMetadata(record.number, expiresAt) })
      this.#record = record
      taken.catch(() => {
        // The engine did not list it: no state may claim to be this checkpoint.
        if (this.#record === record) this.#record = before
        writer.put(RECORD_KEY, encodeRecord(before))
      })
      return { record, taken }
    } finally {
      cache.thaw()
      writer.thaw()
      this.#sealing?.resolve()
      this.#sealing = undefined
    }
  }
}

/** Checkpoints of keyed state, oldest first. */
export async function listCheckpoints(db: Db): Promise<ListedCheckpoint[]> {
  const listed = (await db.checkpoints()).flatMap((checkpoint) => listedCheckpoint(checkpoint) ?? [])
  return listed.sort((a, b) => a.number - b.number)
}

export function unknownCheckpoint(idOrName: string, listed: readonly ListedCheckpoint[]): MoraineError {
  const known = listed.filter(({ number }) => number > 0).slice(-5)
  const hint = known.length === 0 ? 'there are none' : `the newest are ${known.map(({ id, name }) => name ?? id).join(', ')}`
  return new MoraineError('INVALID', `there is no checkpoint '${idOrName}'; ${hint}`, { detail: { checkpoint: idOrName } })
}

const WHAT = 'the metadata of a checkpoint'

function metadataOf(metadata: CheckpointOptions['metadata']): () => JsonValue {
  if (typeof metadata === 'function') return () => plainJson(metadata(), WHAT)
  const plain = plainJson(metadata, WHAT)
  return () => plain
}

async function ensureFree(db: Db, name: string): Promise<void> {
  const listed = await db.checkpoints()
  const namesake = listed.find((checkpoint) => checkpoint.name === name || checkpoint.id === name)
  if (namesake === undefined) return
  throw new MoraineError('CONFLICT', `there is a checkpoint '${name}' already (${namesake.id}): delete it first, or choose another name`)
}
