import { ByteWriter, hasLimits, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { encodeOperation, visitOperations } from '../batch/batch-codec.ts'
import { ENVELOPED, KIND_MASK, NEVER, payloadStart, writeEnvelope } from '../batch/envelope.ts'
import { type Bytes, valueBytes } from '../batch/limits.ts'
import { expiresAt, resolveExpiry } from '../batch/resolve-expiry.ts'
import { storedRange, type UserRange } from '../batch/user-range.ts'
import { WriteBatch } from '../batch/write-batch.ts'
import { keyspaceOf } from '../key/keyspace.ts'
import { keyspaceText } from '../manifest/keyspace-record.ts'
import type { Engine } from '../recovery/engine.ts'
import { type WriteCondition, writeConditionally } from '../write/conditional-write.ts'
import { limitedCheckedWrite, limitedTurn, TAKEN_WRITE } from './call-options.ts'
import type { EngineSlot } from './engine-slot.ts'
import { KeyScratch } from './key-scratch.ts'
import { ReadCalls } from './read-calls.ts'
import {
  checkMergeOptions,
  checkWriteOptions,
  deleteCondition,
  type DeleteOptions,
  type MergeOptions,
  putCondition,
  type PutOptions,
  type WriteOptions,
} from './write-options.ts'

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

  /**
   * Stores a value under a key, replacing the one before. Resolves when the write is durable as asked for. With `ifAbsent`
   * or `ifVersion`: CONFLICT when that does not hold; `detail.version` is then the present version, undefined for none.
   */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<void> {
    return this.guard(() => {
      const condition = putCondition(options)
      this.#key.load(key)
      return this.#apply(EntryKind.put, valueBytes(value), options, condition)
    })
  }

  /** Removes a key; removing what is not there is fine. With `ifVersion`: CONFLICT when the key has another or is absent. */
  delete(key: Bytes, options?: DeleteOptions): Promise<void> {
    return this.guard(() => {
      const condition = deleteCondition(options)
      this.#key.load(key)
      const { bytes, end } = this.#key
      if (condition !== undefined) return this.#handIf(condition, EntryKind.delete, NOTHING, options)
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
  merge(key: Bytes, operand: Bytes, options?: MergeOptions): Promise<void> {
    return this.guard(() => {
      checkMergeOptions(options)
      this.#key.load(key)
      const bytes = valueBytes(operand)
      this.#checkOperand(this.#name, bytes)
      // Not acknowledged before a manifest says what operands mean.
      return this.slot.engine.keyspaceMemory.explained(this.#apply(EntryKind.merge, bytes, options, undefined))
    })
  }

  /** Applies a batch: all of it, at once, in whatever keyspaces. The batch may be changed or used again as soon as this returns. */
  write(batch: WriteBatch, options?: WriteOptions): Promise<void> {
    return this.guard(() => {
      checkWriteOptions('write', options)
      if (!(batch instanceof WriteBatch)) throw new MoraineError('INVALID', 'write takes a WriteBatch')
      if (batch.size === 0) return Promise.resolve()
      const operations = this.operations(batch)
      const written = hasLimits(options)
        ? this.#writeLimited(operations, batch.size, options)
        : this.slot.engine.writes.write(operations, batch.size, options?.durability, undefined)
      return batch.hasMerges ? this.slot.engine.keyspaceMemory.explained(written) : written
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
  #apply(kind: number, value: Uint8Array, options: MergeOptions | undefined, condition: WriteCondition | undefined): Promise<void> {
    const { engine } = this.slot
    const { bytes, end } = this.#key
    const ttlMs = options?.ttlMs ?? (engine.keyspaces.hasDefaultTtl ? engine.keyspaces.ttlOf(this.#name) : NEVER)
    if (ttlMs !== NEVER) {
      this.#scratch.clear()
      writeEnvelope(this.#scratch, expiresAt(engine.nowMs(), ttlMs), false)
      value = this.#scratch.bytes(value).view()
      kind |= ENVELOPED
    }
    if (condition !== undefined) return this.#handIf(condition, kind, value, options)
    return this.#hand(kind, bytes, end, value, options)
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

  /** One operation on the key in the scratch, if the condition holds. */
  #handIf(condition: WriteCondition, kind: number, value: Uint8Array, options: WriteOptions | undefined): Promise<void> {
    const { writes, settings } = this.slot.engine
    const reads = this.reads()
    const key = this.#key.copy()
    const operation = new ByteWriter(key.length + value.length + 16)
    encodeOperation(operation, kind, key, 0, key.length, value, 0, value.length)
    const write = { key, condition, operations: operation.view(), durability: options?.durability }
    if (!hasLimits(options)) return writeConditionally(writes, reads, write)
    return limitedCheckedWrite('the write', options, settings.clock, (signal, onTaken) =>
      writeConditionally(writes, reads, { ...write, signal, onTaken }),
    )
  }

  #checkOperands(operations: Uint8Array): void {
    visitOperations(operations, 'a write batch', (kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      if ((kind & KIND_MASK) !== EntryKind.merge) return
      const from = kind < ENVELOPED ? valueStart : payloadStart(bytes, valueStart, valueEnd)
      this.#checkOperand(keyspaceOf(bytes.subarray(keyStart, keyEnd)), bytes.slice(from, valueEnd))
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

const NOTHING = new Uint8Array(0)
