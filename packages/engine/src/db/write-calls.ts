import { ByteWriter, type CallLimits, hasLimits, MoraineError, throwIfAborted } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { visitOperations } from '../batch/batch-codec.ts'
import { ENVELOPED, NEVER, writeEnvelope } from '../batch/envelope.ts'
import { type Bytes, checkTtl, valueBytes } from '../batch/limits.ts'
import { expiresAt, resolveExpiry } from '../batch/resolve-expiry.ts'
import { storedRange, type UserRange } from '../batch/user-range.ts'
import { WriteBatch } from '../batch/write-batch.ts'
import { keyspaceOf } from '../key/keyspace.ts'
import { keyspaceText } from '../manifest/keyspace-record.ts'
import type { Engine } from '../recovery/engine.ts'
import type { Durability } from '../write/write-path.ts'
import { limitChecks, limitedTurn, TAKEN_WRITE } from './call-options.ts'
import type { EngineSlot } from './engine-slot.ts'
import { KeyScratch } from './key-scratch.ts'
import { checkOptions, oneOfOption, type OptionChecks } from './option-checks.ts'
import { ReadCalls } from './read-calls.ts'

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

export interface PutOptions extends WriteOptions {
  /**
   * The entry is not to be seen any more that many milliseconds after the write; Infinity: it never expires. Default: the
   * TTL of the keyspace, or never.
   */
  readonly ttlMs?: number
}

const writeChecks: OptionChecks<WriteOptions> = {
  durability: oneOfOption('memory', 'log', 'store'),
  ...limitChecks,
}
const putChecks: OptionChecks<PutOptions> = { ...writeChecks, ttlMs: () => undefined }

/** The reads and writes of one keyspace. */
export abstract class WriteCalls extends ReadCalls<Engine> {
  readonly #name: string
  readonly #key: KeyScratch
  readonly #scratch = new ByteWriter(64)

  protected constructor(slot: EngineSlot<Engine>, keyspace: string) {
    super(slot, keyspace)
    this.#name = keyspace
    this.#key = new KeyScratch(this.prefix)
  }

  /** Stores a value under a key, replacing the one before. Resolves when the write is durable as asked for. */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<void> {
    return this.guard(() => {
      if (options !== undefined) checkPutOptions('put', options)
      this.#key.load(key)
      return this.#apply(EntryKind.put, valueBytes(value), options)
    })
  }

  /** Removes a key; removing what is not there is fine. */
  delete(key: Bytes, options?: WriteOptions): Promise<void> {
    return this.guard(() => {
      checkWriteOptions('delete', options)
      this.#key.load(key)
      const { bytes, end } = this.#key
      return this.#hand(EntryKind.delete, bytes, end, NOTHING, options)
    })
  }

  /**
   * Removes the keys from `gte` on up to but not including `lt`, whatever their number, by one entry; a missing bound is
   * the first or the last key of the keyspace.
   */
  deleteRange(range: UserRange, options?: WriteOptions): Promise<void> {
    return this.guard(() => {
      checkWriteOptions('deleteRange', options)
      const { gte, lt } = storedRange('deleteRange', range, this.prefix)
      if (Buffer.compare(gte, lt) === 0) return Promise.resolve()
      return this.#hand(EntryKind.deleteRange, gte, gte.length, lt, options)
    })
  }

  /**
   * Adds an operand to a key, for the merge operator of the keyspace to apply to its value when that is read; nothing is
   * read now. INVALID when the keyspace has no operator, or the operator refuses the operand.
   */
  merge(key: Bytes, operand: Bytes, options?: PutOptions): Promise<void> {
    return this.guard(() => {
      if (options !== undefined) checkPutOptions('merge', options)
      this.#key.load(key)
      const bytes = valueBytes(operand)
      this.#checkOperand(this.#name, bytes)
      return this.#apply(EntryKind.merge, bytes, options)
    })
  }

  /** Applies a batch: all of it, at once, in whatever keyspaces. The batch may be changed or used again as soon as this returns. */
  write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
    return this.guard(() => {
      checkWriteOptions('write', options)
      if (!(batch instanceof WriteBatch)) throw new MoraineError('INVALID', 'write takes a WriteBatch')
      if (batch.size === 0) return Promise.resolve()
      const operations = this.operations(batch)
      if (hasLimits(options)) return this.#writeLimited(operations, batch.size, options)
      return this.slot.engine.writes.write(operations, batch.size, options?.durability, undefined)
    })
  }

  /** The operations of a batch as they are written now: checked, and with their times of expiry. */
  protected operations(batch: WriteBatch): Uint8Array {
    const { engine } = this.slot
    if (batch.hasMerges) this.#checkOperands(batch.encoded())
    if (!batch.hasTtl && !engine.keyspaces.hasDefaultTtl) return batch.encoded()
    return resolveExpiry(batch.encoded(), engine.nowMs(), (name) => engine.keyspaces.ttlOf(name))
  }

  /** A put or a merge of the key in the scratch. */
  #apply(kind: number, value: Uint8Array, options: PutOptions | undefined): Promise<void> {
    const { engine } = this.slot
    const { bytes, end } = this.#key
    const ttlMs = options?.ttlMs ?? (engine.keyspaces.hasDefaultTtl ? engine.keyspaces.ttlOf(this.#name) : NEVER)
    if (ttlMs === NEVER) return this.#hand(kind, bytes, end, value, options)
    this.#scratch.clear()
    writeEnvelope(this.#scratch, expiresAt(engine.nowMs(), ttlMs), false)
    const enveloped = this.#scratch.bytes(value).view()
    return this.#hand(kind | ENVELOPED, bytes, end, enveloped, options)
  }

  /** Gives one operation to the write path, which takes or copies its bytes before this returns. */
  #hand(kind: number, key: Uint8Array, keyEnd: number, value: Uint8Array, options: WriteOptions | undefined): Promise<void> {
    if (hasLimits(options)) return this.#handLimited(kind, key, keyEnd, value, options)
    return this.slot.engine.writes.apply(kind, key, 0, keyEnd, value, options?.durability, undefined)
  }

  // Apart, because most calls have no limits and are to pay for no closure.

  #handLimited(kind: number, key: Uint8Array, keyEnd: number, value: Uint8Array, options: WriteOptions): Promise<void> {
    const { engine } = this.slot
    return limitedTurn('the write', options, engine, TAKEN_WRITE, (signal) =>
      engine.writes.apply(kind, key, 0, keyEnd, value, options.durability, signal),
    )
  }

  #writeLimited(operations: Uint8Array, count: number, options: WriteOptions): Promise<void> {
    const { engine } = this.slot
    return limitedTurn('the write', options, engine, TAKEN_WRITE, (signal) =>
      engine.writes.write(operations, count, options.durability, signal),
    )
  }

  #checkOperands(operations: Uint8Array): void {
    visitOperations(operations, 'a write batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      if (kind !== EntryKind.merge) return
      this.#checkOperand(keyspaceOf(bytes.subarray(keyStart, keyEnd)), bytes.slice(valueStart, valueEnd))
    })
  }

  #checkOperand(keyspace: string, operand: Uint8Array): void {
    const operator = this.slot.engine.operators.get(keyspace)
    if (operator === undefined) {
      const where = keyspaceText(keyspace)
      throw new MoraineError('INVALID', `${where} has no merge operator: give one as mergeOperator when opening it`, { detail: { keyspace } })
    }
    try {
      operator.check?.(operand)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new MoraineError('INVALID', `merge operator '${operator.name}' refuses the operand: ${why}`, { cause })
    }
  }
}

export function checkWriteOptions(call: string, options: WriteOptions | undefined): void {
  if (options === undefined) return
  checkOptions(call, options, writeChecks)
  throwIfAborted(options.signal)
}

function checkPutOptions(call: string, options: PutOptions): void {
  checkOptions(call, options, putChecks)
  if (options.ttlMs !== undefined) checkTtl(options.ttlMs)
  throwIfAborted(options.signal)
}

const NOTHING = new Uint8Array(0)
