import { MoraineError } from '@moraine/base'
import { codecFailure } from '../ttl/value-format.ts'
import type { Cell, CellCall } from './cell.ts'
import { currentContext, OperationContext, wouldWaitForItself } from './operation-context.ts'
import type { StateHost } from './state-host.ts'

/** The prototype of functions declared `async`. */
const ASYNC: unknown = Object.getPrototypeOf(async () => {})

export function isAsyncFunction(call: unknown): boolean {
  return Object.getPrototypeOf(call) === ASYNC
}

/**
 * Calls on cells. A call on a cell that is in memory and free runs at once, without a promise of its own; any other waits
 * in the cell's queue, so that the calls on one value run in the order in which they were made.
 *
 * Who owns a value: `get` gives the very object of the cache, to be read and not changed. To change one, `update` may change
 * what it is given and return it, or `set` stores it anew: an object that was set or got is encoded before the caller can
 * touch it again, so that what a checkpoint has frozen never depends on what callers do with it.
 */
export class CellCalls {
  readonly #host: StateHost<unknown>

  constructor(host: StateHost<unknown>) {
    this.#host = host
  }

  /** Whether calls on this cell may run at once. */
  isFree(cell: Cell<unknown>): boolean {
    return cell.ready && this.#host.gate.isOpen
  }

  /**
   * Runs `operation` on the cell that `locate` finds or makes, when it is loaded and its turn has come. `inOrder` may put the
   * call behind others that are not calls on this cell alone.
   */
  whenReady<T, R>(
    locate: () => Cell<T>,
    operation: (cell: Cell<T>) => R | Promise<R>,
    inOrder: (start: () => void) => void = (start) => start(),
  ): Promise<R> {
    const { gate } = this.#host
    return new Promise((resolve, reject) => {
      gate.enter({
        run: () => {
          gate.begin()
          const context = currentContext(gate)
          const fail = (error: unknown): void => {
            gate.end()
            reject(error)
          }
          const run = (cell: Cell<T>): void => {
            try {
              resolve(operation(cell))
              gate.end()
            } catch (error) {
              fail(error)
            }
          }
          const start = (): void => {
            try {
              const cell = locate()
              this.#queue(cell, { context, run: () => run(cell), fail })
            } catch (error) {
              fail(error)
            }
          }
          try {
            inOrder(start)
          } catch (error) {
            fail(error)
          }
        },
        fail: reject,
      })
    })
  }

  /**
   * Runs `operation` in one step on several cells, at once when all of them are free. Until it has run, no later call on any
   * of them does.
   */
  whenAllReady<T>(locate: () => readonly Cell<T>[], operation: (cells: readonly Cell<T>[]) => void): Promise<void> {
    const { gate } = this.#host
    return new Promise((resolve, reject) => {
      gate.enter({
        run: () => {
          gate.begin()
          this.#holdAll(locate, operation)
            .finally(() => gate.end())
            .then(resolve, reject)
        },
        fail: reject,
      })
    })
  }

  async #holdAll<T>(locate: () => readonly Cell<T>[], operation: (cells: readonly Cell<T>[]) => void): Promise<void> {
    const cells = locate()
    if (cells.every((cell) => cell.ready && cell.waiting === undefined)) return operation(cells)
    const context = new OperationContext(this.#host.gate, 'update')
    const held: Cell<T>[] = []
    // All of them line up at this moment, so that two calls like this never hold what the other one waits for.
    const turns = cells.map(
      (cell) =>
        new Promise<void>((resolve, reject) => {
          context.waitsFor.add(cell)
          const run = (): void => {
            context.waitsFor.delete(cell)
            cell.ready = false
            cell.holder = context
            held.push(cell)
            resolve()
          }
          this.#queue(cell, { context: currentContext(this.#host.gate), run, fail: reject })
        }),
    )
    try {
      await Promise.all(turns)
      operation(cells)
    } finally {
      context.active = false
      await Promise.allSettled(turns)
      for (const cell of held) this.#release(cell)
    }
  }

  #release<T>(cell: Cell<T>): void {
    cell.holder = undefined
    cell.ready = true
    this.#runWaiting(cell)
  }

  /** The value as a caller may see it; undefined when there is none, or it has expired. */
  read<T>(cell: Cell<T>): T | undefined {
    const { value } = cell
    if (value === undefined) return undefined
    const { format } = cell.home
    if (format.ttl !== undefined) {
      if (format.isExpired(cell.expiresAt)) return undefined
      if (format.refreshOnRead) {
        this.#host.cache.beforeChange(cell)
        cell.bytes = undefined
        cell.expiresAt = format.newExpiry()
      }
    }
    return value
  }

  /** Like `read`, for a value that leaves the package: what was changed of it is encoded first. */
  lend<T>(cell: Cell<T>): T | undefined {
    const value = this.read(cell)
    if (typeof value === 'object' && value !== null && cell.dirtyIn !== 0 && cell.bytes === undefined) this.#host.cache.encode(cell)
    return value
  }

  /** Stores a value that the caller may keep. */
  set<T>(cell: Cell<T>, value: T): void {
    const isObject = typeof value === 'object' && value !== null
    this.#put(cell, value, isObject)
  }

  clear<T>(cell: Cell<T>): void {
    if (cell.value === undefined && !cell.stored) return
    this.#host.cache.beforeChange(cell)
    cell.value = undefined
    cell.bytes = undefined
  }

  /** Calls a function with the value and stores what it returns; undefined clears. The function owns the value meanwhile. */
  update<T>(cell: Cell<T>, change: (value: T | undefined) => T | undefined): T | undefined {
    const current = this.read(cell)
    // Before the function runs, because it may change the object that it is given.
    this.#host.cache.beforeChange(cell)
    const { gate } = this.#host
    cell.running = true
    cell.ready = false
    gate.running++
    let next: T | undefined
    try {
      next = change(current)
    } finally {
      gate.running--
      cell.running = false
      cell.ready = true
    }
    if (next === undefined) this.clear(cell)
    else this.#put(cell, next, false)
    return next
  }

  /** Like `update`, with a function that is async: the cell is its own until the promise has settled. */
  updateHolding<T>(locate: () => Cell<T>, change: (value: T | undefined) => Promise<T | undefined>): Promise<T | undefined> {
    const { gate } = this.#host
    return this.whenReady(locate, (cell) => {
      const context = new OperationContext(gate, 'update')
      cell.ready = false
      cell.holder = context
      gate.begin()
      return this.#hold(cell, context, change).finally(() => {
        context.active = false
        this.#release(cell)
        gate.end()
      })
    })
  }

  async #hold<T>(cell: Cell<T>, context: OperationContext, change: (value: T | undefined) => Promise<T | undefined>): Promise<T | undefined> {
    const current = this.read(cell)
    this.#host.cache.beforeChange(cell)
    const next = await context.run(() => change(current))
    if (next === undefined) this.clear(cell)
    else this.#put(cell, next, false)
    return next
  }

  /** Resolves when the calls that wait for a cell now have run. */
  whenFree<T>(cell: Cell<T>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue(cell, { context: currentContext(this.#host.gate), run: resolve, fail: reject })
    })
  }

  /** Fetches what the database has for a cell that has just been made. Throws when that is known at once to be unreadable. */
  load<T>(cell: Cell<T>): void {
    const { cache } = this.#host
    const space = this.#host.spaceOf(cell.home.separated)
    cache.admit(cell)
    if (!cache.isOverfull) {
      const resident = space.getResident(cell.key)
      if (resident !== undefined) {
        try {
          this.#decode(cell, 'value' in resident ? resident.value : undefined)
        } catch (error) {
          cache.remove(cell)
          throw error
        }
        cell.ready = true
        return
      }
    }
    cache.whenRoom(() => {
      space.get(cell.key).then(
        (bytes) => this.fill(cell, bytes),
        (error: unknown) => this.fail(cell, error),
      )
    })
  }

  /** What the database has has arrived. */
  fill<T>(cell: Cell<T>, bytes: Uint8Array | undefined): void {
    try {
      this.#decode(cell, bytes)
    } catch (error) {
      this.fail(cell, error)
      return
    }
    cell.ready = true
    this.#runWaiting(cell)
  }

  #decode<T>(cell: Cell<T>, bytes: Uint8Array | undefined): void {
    cell.stored = bytes !== undefined
    if (bytes === undefined) return
    const { format, stateName } = cell.home
    try {
      const found = format.decode(bytes)
      cell.value = found?.value
      if (found !== undefined) cell.expiresAt = found.expiresAt
    } catch (error) {
      throw codecFailure('decode', stateName, this.#host.keys.describe(cell.key), format.codec.name, error)
    }
    this.#host.cache.resize(cell, bytes.length)
  }

  fail<T>(cell: Cell<T>, error: unknown): void {
    this.#host.cache.remove(cell)
    const waiting = cell.waiting ?? []
    cell.waiting = undefined
    for (const call of waiting) call.fail(error)
  }

  #put<T>(cell: Cell<T>, value: T, encodeNow: boolean): void {
    const { format, stateName } = cell.home
    const expiresAt = format.newExpiry()
    let bytes: Uint8Array | undefined
    if (value === undefined) throw new MoraineError('INVALID', `undefined is no value of state '${stateName}': use clear() or delete()`)
    try {
      if (typeof (value as { then?: unknown } | null)?.then === 'function') throw new TypeError('a promise is no value; declare the function async')
      format.check(value)
      if (encodeNow || format.eager) bytes = format.encode(value, expiresAt)
    } catch (error) {
      throw codecFailure('encode', stateName, this.#host.keys.describe(cell.key), format.codec.name, error)
    }
    this.#host.cache.beforeChange(cell)
    cell.value = value
    cell.bytes = bytes
    cell.expiresAt = expiresAt
    if (bytes !== undefined) this.#host.cache.resize(cell, bytes.length)
    else if (typeof value === 'string') this.#host.cache.resize(cell, value.length)
  }

  #queue<T>(cell: Cell<T>, call: CellCall): void {
    if (cell.ready && cell.waiting === undefined) {
      call.run()
      return
    }
    if (cell.running || wouldWaitForItself(call.context, cell)) {
      const key = this.#host.keys.describe(cell.key)
      call.fail(
        new MoraineError(
          'INVALID',
          `this call on state '${cell.home.stateName}', key ${key}, is made inside the update() of the same key and would wait for itself: use the value that update() gives`,
        ),
      )
      return
    }
    call.context?.waitsFor.add(cell)
    cell.waiting ??= []
    cell.waiting.push(call)
  }

  #runWaiting<T>(cell: Cell<T>): void {
    const { waiting } = cell
    if (waiting === undefined) return
    // Calls that come meanwhile line up behind; one that holds the cell leaves the rest waiting.
    while (waiting.length > 0 && cell.ready) {
      const call = waiting.shift() as CellCall
      call.context?.waitsFor.delete(cell)
      call.run()
    }
    if (waiting.length === 0) cell.waiting = undefined
  }
}
