import { ByteWriter, MoraineError } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { DEFAULT_KEYSPACE, keyspaceName, type KeyspaceReference, keyspacePrefix, storedKey } from '../key/keyspace.ts'
import { encodeOperation } from './batch-codec.ts'
import { ENVELOPED, writeEnvelope } from './envelope.ts'
import { type Bytes, checkTtl, keyBytes, valueBytes } from './limits.ts'
import { storedRange, type UserRange } from './user-range.ts'

/** A batch above this many bytes could not be logged as one record, so it is refused while it is built. */
export const MAX_BATCH_BYTES: number = 2 ** 31 - 2 ** 20

export interface BatchDeleteOptions {
  /** The name of a keyspace, or what `db.keyspace` returned; default: the database's default keyspace. */
  readonly keyspace?: KeyspaceReference
}

export interface BatchPutOptions extends BatchDeleteOptions {
  /** The entry is not to be seen that many milliseconds after the batch was written; Infinity: never expires. */
  readonly ttlMs?: number
}

/**
 * Writes that are applied together: all of them become visible and durable at once, or none does. Bytes are copied
 * when they are added, so the caller may reuse its arrays. A later operation on a key wins over an earlier one.
 */
export class WriteBatch {
  readonly #writer = new ByteWriter()
  readonly #scratch = new ByteWriter(64)
  #count = 0
  #mergeCount = 0
  #ttlCount = 0

  /** Number of operations. */
  get size(): number {
    return this.#count
  }

  /** Bytes of all operations, encoded. */
  get sizeBytes(): number {
    return this.#writer.length
  }

  put(key: Bytes, value: Bytes, options?: BatchPutOptions): this {
    checkNames('put', options, PUT_OPTIONS)
    return this.#add(EntryKind.put, key, valueBytes(value), options)
  }

  delete(key: Bytes, options?: BatchDeleteOptions): this {
    checkNames('delete', options, DELETE_OPTIONS)
    return this.#add(EntryKind.delete, key, NOTHING, options)
  }

  /** Adds an operand for the merge operator of the key's keyspace; `write` refuses it when there is none. */
  merge(key: Bytes, operand: Bytes, options?: BatchPutOptions): this {
    checkNames('merge', options, PUT_OPTIONS)
    this.#add(EntryKind.merge, key, valueBytes(operand), options)
    this.#mergeCount++
    return this
  }

  /** Deletes the keys from `gte` on up to but not including `lt`; a missing bound is the keyspace's first or last key. */
  deleteRange(range: UserRange, options?: BatchDeleteOptions): this {
    checkNames('deleteRange', options, DELETE_OPTIONS)
    const { gte, lt } = storedRange('deleteRange', range, keyspacePrefix(nameOf(options)))
    if (Buffer.compare(gte, lt) >= 0) return this
    this.#append(EntryKind.deleteRange, gte, lt)
    return this
  }

  clear(): this {
    this.#writer.clear()
    this.#count = 0
    this.#mergeCount = 0
    this.#ttlCount = 0
    return this
  }

  /**
   * The encoded operations; valid until the batch is changed. Expiries in them are relative, to be made absolute by
   * `resolveExpiry` where `hasTtl`.
   */
  encoded(): Uint8Array {
    return this.#writer.view()
  }

  get hasTtl(): boolean {
    return this.#ttlCount > 0
  }

  get hasMerges(): boolean {
    return this.#mergeCount > 0
  }

  #add(kind: number, key: Bytes, value: Uint8Array, options: BatchPutOptions | undefined): this {
    const stored = storedKey(keyspacePrefix(nameOf(options)), keyBytes(key))
    const ttlMs = options?.ttlMs
    if (ttlMs === undefined) {
      this.#append(kind, stored, value)
      return this
    }
    checkTtl(ttlMs)
    const enveloped = this.#scratch
    enveloped.clear()
    writeEnvelope(enveloped, ttlMs, false)
    enveloped.bytes(value)
    this.#append(kind | ENVELOPED, stored, enveloped.view())
    this.#ttlCount++
    return this
  }

  #append(kind: number, key: Uint8Array, value: Uint8Array): void {
    if (this.#writer.length + key.length + value.length + 16 > MAX_BATCH_BYTES) {
      throw new MoraineError('INVALID', 'a write batch may hold at most 2 GiB; write it in smaller batches')
    }
    encodeOperation(this.#writer, kind, key, 0, key.length, value, 0, value.length)
    this.#count++
  }
}

/** A mistyped option must not put a write into the wrong keyspace, or make it last for ever. */
function checkNames(call: string, options: object | undefined, known: readonly string[]): void {
  if (options === undefined) return
  if (typeof options !== 'object' || options === null) throw new MoraineError('INVALID', `${call} of a batch takes options as an object`)
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new MoraineError('INVALID', `${call} of a batch has no option '${name}'; it knows ${known.join(' and ')}`, { detail: { option: name } })
  }
}

const DELETE_OPTIONS: readonly string[] = ['keyspace']
const PUT_OPTIONS: readonly string[] = ['keyspace', 'ttlMs']

function nameOf(options: BatchDeleteOptions | undefined): string {
  return options?.keyspace === undefined ? DEFAULT_KEYSPACE : keyspaceName(options.keyspace)
}

const NOTHING = new Uint8Array(0)
