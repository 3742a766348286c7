import { type CallLimits, hasLimits, isMoraineError, MoraineError, throwIfAborted } from '@moraine/base'
import { type Bytes, checkTtl, keyBytes, valueBytes } from '../batch/limits.ts'
import { resolveExpiry } from '../batch/resolve-expiry.ts'
import { storedRange, type UserRange } from '../batch/user-range.ts'
import type { BatchDeleteOptions, BatchPutOptions } from '../batch/write-batch.ts'
import { type KeyText, keyText } from '../key/key-text.ts'
import { type KeyspaceReference, storedKey } from '../key/keyspace.ts'
import { textRange } from '../key/text-range.ts'
import type { Entry } from '../read/scan-cursor.ts'
import type { Engine } from '../recovery/engine.ts'
import { commitTransaction } from '../write/commit-transaction.ts'
import type { ConflictWatch } from '../write/conflict-window.ts'
import { OwnWrites } from '../write/own-writes.ts'
import { ReadSet } from '../write/read-set.ts'
import type { Durability } from '../write/write-path.ts'
import { limitChecks, limitedCheckedWrite } from './call-options.ts'
import { checkOptions, oneOfOption, type OptionCheck, type OptionChecks } from './option-checks.ts'
import { OverlaySource } from './overlay-source.ts'
import type { ReadOptions } from './reads.ts'
import type { ReadsByKeyspace } from './reads-by-keyspace.ts'
import { checkScanOptions, type ScanOptions, scanRange } from './scan-options.ts'
import { BatchStream, EntryStream } from './scan-stream.ts'
import type { Snapshot } from './snapshot.ts'
import { TransactionStream } from './transaction-stream.ts'
import { checkWriteOptions, type WriteOptions } from './write-options.ts'

/** What a commit checks: `snapshot` what the transaction writes, `serializable` also everything it has read. */
export type IsolationLevel = 'snapshot' | 'serializable'

export interface TransactionOptions {
  /**
   * `snapshot` (default): of two transactions that write the same key and overlap in time, the first to commit wins and the
   * other ends with CONFLICT. `serializable`: besides, no key and no scanned range that the transaction has read may have
   * been written since; the outcome is that of one transaction after the other.
   */
  readonly isolation?: IsolationLevel
}

/** `failed`: the commit ended with an error. After anything but CONFLICT, INVALID or ABORTED it may have been written. */
export type TransactionState = 'open' | 'committing' | 'committed' | 'rolled-back' | 'failed'

export interface TransactionReadOptions extends CallLimits, BatchDeleteOptions {}

export interface TransactionScanOptions extends Omit<ScanOptions, 'snapshot' | 'durable'>, BatchDeleteOptions {}

export type TransactionDeleteOptions = BatchDeleteOptions

export type TransactionPutOptions = BatchPutOptions

export const isolationOption: OptionCheck = oneOfOption('snapshot', 'serializable')

const transactionChecks: OptionChecks<TransactionOptions> = { isolation: isolationOption }
const deleteChecks: OptionChecks<TransactionDeleteOptions> = { keyspace: () => undefined }
const readChecks: OptionChecks<TransactionReadOptions> = { ...deleteChecks, ...limitChecks }
const putChecks: OptionChecks<TransactionPutOptions> = { ...deleteChecks, ttlMs: () => undefined }

const ENDINGS: Readonly<Record<TransactionState, string>> = {
  open: 'is open',
  committing: 'is being committed',
  committed: 'was committed',
  'rolled-back': 'was rolled back',
  failed: 'could not be committed',
}

/**
 * An optimistic transaction: takes no locks, keeps its writes to itself, and learns at the commit whether another writer
 * came first. A write of any kind counts, in a transaction or not. Once it has ended, every call is CLOSED; so it is after
 * the database was closed or restored, or with FENCED when it has lost it. `await using tx = db.transaction()` rolls back
 * whatever has not been committed.
 */
export class Transaction {
  readonly isolation: IsolationLevel
  readonly #engine: Engine
  readonly #reads: ReadsByKeyspace
  readonly #snapshot: Snapshot
  readonly #atSnapshot: ReadOptions
  readonly #watch: ConflictWatch
  readonly #own = new OwnWrites()
  /** Undefined at snapshot isolation. */
  readonly #readSet: ReadSet | undefined
  readonly #scans = new Set<OverlaySource>()
  #state: TransactionState = 'open'

  /** Made by `db.transaction()`. */
  constructor(engine: Engine, reads: ReadsByKeyspace, options: TransactionOptions = {}) {
    checkOptions('transaction', options, transactionChecks)
    this.isolation = options.isolation ?? 'snapshot'
    this.#engine = engine
    this.#reads = reads
    // Snapshot and watch begin at the same write.
    this.#snapshot = reads.of().reads.snapshot()
    this.#atSnapshot = { snapshot: this.#snapshot }
    this.#watch = engine.writes.conflicts.watch(this.#snapshot.version)
    this.#readSet = this.isolation === 'serializable' ? new ReadSet() : undefined
    engine.writes.transactions.open++
  }

  /** The sequence number that its reads see. */
  get version(): number {
    return this.#snapshot.version
  }

  get state(): TransactionState {
    return this.#state
  }

  /** The value of a key, or undefined: as this transaction has written it, else as it was when the transaction began. */
  get(key: Bytes, options?: TransactionReadOptions): Promise<Uint8Array | undefined> {
    return this.#guard(() => {
      const at = this.#readOptions('get', options)
      const { prefix, reads } = this.#reads.of(options?.keyspace)
      const text = textOf(prefix, key)
      const own = this.#own.find(text)
      if (own !== undefined) return Promise.resolve(own.value?.slice())
      this.#readSet?.addKey(text)
      return reads.get(key, at)
    })
  }

  /** The values of many keys, in their order. */
  getMany(keys: readonly Bytes[], options?: TransactionReadOptions): Promise<(Uint8Array | undefined)[]> {
    return this.#guard(async () => {
      if (!Array.isArray(keys)) throw new MoraineError('INVALID', 'getMany takes an array of keys')
      const at = this.#readOptions('getMany', options)
      const { prefix, reads } = this.#reads.of(options?.keyspace)
      const texts = keys.map((key: Bytes) => textOf(prefix, key))
      const own = texts.map((text) => this.#own.find(text))
      const others = keys.filter((_, i) => own[i] === undefined) as Bytes[]
      for (const [i, text] of texts.entries()) if (own[i] === undefined) this.#readSet?.addKey(text)
      const values = await reads.getMany(others, at)
      let next = 0
      return own.map((write) => (write === undefined ? values[next++] : write.value?.slice()))
    })
  }

  /** Entries in key order, as `db.scan` gives them, with the writes that this transaction made before the call. */
  scan(options: TransactionScanOptions = {}): TransactionStream<Entry> {
    return this.#scan(options, (source) => new EntryStream(source), (entry) => [entry])
  }

  /** Like `scan`, many entries a step. */
  scanBatches(options: TransactionScanOptions = {}): TransactionStream<Entry[]> {
    return this.#scan(options, (source) => new BatchStream(source), (batch) => batch)
  }

  /** Stores a value under a key when the transaction is committed. Done when it returns; the bytes are copied. */
  put(key: Bytes, value: Bytes, options?: TransactionPutOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('put', options, putChecks)
      if (options?.ttlMs !== undefined) checkTtl(options.ttlMs)
      const text = this.#textOf(options?.keyspace, key)
      const bytes = valueBytes(value)
      this.#own.put(text, typeof value === 'string' ? bytes : bytes.slice(), options?.ttlMs)
      return DONE
    })
  }

  /** Removes a key when the transaction is committed. Done when it returns. */
  delete(key: Bytes, options?: TransactionDeleteOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('delete', options, deleteChecks)
      this.#own.delete(this.#textOf(options?.keyspace, key))
      return DONE
    })
  }

  /** Removes a range of keys when the transaction is committed: see `Db.deleteRange`. Done when it returns. */
  deleteRange(range: UserRange, options?: TransactionDeleteOptions): Promise<void> {
    return this.#guard(() => {
      if (options !== undefined) checkOptions('deleteRange', options, deleteChecks)
      this.#own.deleteRange(textRange(storedRange('deleteRange', range, this.#reads.of(options?.keyspace).prefix)))
      return DONE
    })
  }

  /**
   * Applies all writes at once, or none. CONFLICT when another writer came first: the message and `detail` name the key. Ends
   * the transaction in any case, unless it rejects with INVALID for its options. A limit withdraws it while it is held
   * back behind other writes; once it has been taken in it rejects with ABORTED and `detail.taken`, and stands.
   */
  commit(options?: WriteOptions): Promise<void> {
    return this.#guard(() => {
      checkWriteOptions('commit', options)
      if (!hasLimits(options)) return this.#commit(options?.durability)
      return limitedCheckedWrite('commit', options, this.#engine.settings.clock, (signal, onTaken) =>
        this.#commit(options.durability, signal, onTaken),
      )
    })
  }

  /** Forgets all writes. CLOSED when the transaction has ended; a commit that has begun cannot be recalled. */
  rollback(): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(this.#endedError())
    this.#end('rolled-back')
    this.#engine.writes.transactions.open--
    return DONE
  }

  /** Rolls back what has not been committed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'open') await this.rollback()
  }

  async #commit(durability: Durability | undefined, signal?: AbortSignal, onTaken?: () => void): Promise<void> {
    const { writes } = this.#engine
    const work = { watch: this.#watch, own: this.#own, reads: this.#readSet, operations: () => this.#operations() }
    this.#state = 'committing'
    this.#endReads()
    try {
      await this.#engine.keyspaceMemory.explained(commitTransaction(writes, work, durability, signal, onTaken))
      this.#end('committed')
      writes.transactions.committed++
    } catch (error) {
      this.#end('failed')
      if (isMoraineError(error, 'CONFLICT')) writes.transactions.conflicts++
      throw error
    } finally {
      writes.transactions.open--
    }
  }

  /** The own writes; what expires does so counting from the commit. */
  #operations(): { readonly operations: Uint8Array; readonly count: number } {
    const { keyspaces } = this.#engine
    const own = this.#own.toOperations()
    if (!own.hasTtl && !keyspaces.hasDefaultTtl) return own
    return { ...own, operations: resolveExpiry(own.operations, this.#engine.nowMs(), (name) => keyspaces.ttlOf(name)) }
  }

  #end(state: TransactionState): void {
    this.#state = state
    this.#watch.close()
    this.#endReads()
  }

  #endReads(): void {
    for (const scan of this.#scans) scan.close()
    this.#scans.clear()
    this.#snapshot.close()
  }

  #scan<Item>(
    options: TransactionScanOptions,
    streamOf: (source: OverlaySource) => AsyncIterableIterator<Item, undefined, undefined>,
    entriesOf: (item: Item) => readonly Entry[],
  ): TransactionStream<Item> {
    this.#ensureOpen()
    const { keyspace, ...scanOptions } = options
    checkScanOptions(scanOptions)
    const { prefix, reads } = this.#reads.of(keyspace)
    const { snapshot, durable }: ScanOptions = scanOptions
    if (snapshot !== undefined || durable !== undefined) {
      throw new MoraineError('INVALID', 'a scan of a transaction reads at its own snapshot: leave snapshot and durable out')
    }
    const { limit = Number.POSITIVE_INFINITY, reverse = false, ...rest } = scanOptions
    const range = textRange(scanRange(scanOptions, prefix))
    const base = reads.scanBatches({ ...rest, reverse, snapshot: this.#snapshot })
    const source = new OverlaySource({ base, own: this.#own.entriesIn(range), prefix, reverse, limit })
    this.#scans.add(source)
    const scanned = this.#readSet?.startScan(range, prefix, reverse)
    let remaining = limit
    const finish = (): void => {
      // Found empty at its limit, or given back, a scan says nothing of what may follow.
      remaining = 0
      this.#scans.delete(source)
    }
    return new TransactionStream(streamOf(source), {
      ensureOpen: () => this.#ensureOpen(),
      delivered: (item) => {
        const entries = entriesOf(item)
        remaining -= entries.length
        scanned?.delivered((entries.at(-1) as Entry)[0])
      },
      ended: () => {
        if (remaining > 0) scanned?.ranOut()
        finish()
      },
      closed: finish,
    })
  }

  #textOf(keyspace: KeyspaceReference | undefined, key: Bytes): KeyText {
    return textOf(this.#reads.of(keyspace).prefix, key)
  }

  #readOptions(call: string, options: TransactionReadOptions | undefined): ReadOptions {
    if (options === undefined) return this.#atSnapshot
    checkOptions(call, options, readChecks)
    throwIfAborted(options.signal)
    return hasLimits(options) ? { signal: options.signal, timeoutMs: options.timeoutMs, snapshot: this.#snapshot } : this.#atSnapshot
  }

  /** Runs a call: errors thrown at once become rejections, so that a caller has one way to handle them. */
  #guard<Result>(call: () => Promise<Result>): Promise<Result> {
    try {
      this.#ensureOpen()
      return call()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #ensureOpen(): void {
    if (this.#state !== 'open') throw this.#endedError()
    this.#engine.ensureOpen()
  }

  #endedError(): MoraineError {
    return new MoraineError('CLOSED', `the transaction ${ENDINGS[this.#state]}: begin another one`, { detail: { state: this.#state } })
  }
}

const DONE: Promise<void> = Promise.resolve()

function textOf(prefix: Uint8Array, key: Bytes): KeyText {
  return keyText(storedKey(prefix, keyBytes(key)))
}
