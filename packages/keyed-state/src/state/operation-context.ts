import { AsyncLocalStorage } from 'node:async_hooks'

/** What one context at a time may have for itself: a value, or a key of handlers. */
export interface Holdable {
  holder: OperationContext | undefined
}

/**
 * What a call is part of: a handler, or an `update` with an async function. It is how a call knows that it is inside one, so
 * that what would wait for itself fails instead. It ends with the handler; calls that were started in it and outlive it
 * count as outside.
 */
export class OperationContext {
  readonly parent: OperationContext | undefined
  /** The backend it belongs to. */
  readonly owner: object
  readonly kind: 'handler' | 'update'
  /** What calls of this context wait for at the moment. */
  readonly waitsFor: Set<Holdable> = new Set()
  active = true

  constructor(owner: object, kind: 'handler' | 'update') {
    this.parent = storage.getStore()
    this.owner = owner
    this.kind = kind
  }

  /** Runs a function as part of this context. */
  run<R>(call: () => R): R {
    return storage.run(this, call)
  }
}

const storage = new AsyncLocalStorage<OperationContext>()

/** The innermost context of a backend that the caller is inside of, and that has not ended. */
export function currentContext(owner: object): OperationContext | undefined {
  for (let context = storage.getStore(); context !== undefined; context = context.parent) {
    if (context.owner === owner && context.active) return context
  }
  return undefined
}

/** Whether the caller is inside a context that has not ended, directly or through others. */
export function isInside(context: OperationContext): boolean {
  if (!context.active) return false
  for (let at = storage.getStore(); at !== undefined; at = at.parent) if (at === context) return true
  return false
}

/** The call as part of what the caller is inside of, whoever makes it later. */
export function inPresentContext(call: () => void): () => void {
  const context = storage.getStore()
  return () => storage.run(context as OperationContext, call)
}

/** Whether to wait for what `held` stands for would be to wait for the caller itself, directly or through others that wait. */
export function wouldWaitForItself(caller: OperationContext | undefined, held: Holdable): boolean {
  if (caller === undefined) return false
  const mine = new Set<OperationContext>()
  for (let context: OperationContext | undefined = caller; context !== undefined; context = context.parent) mine.add(context)
  const seen = new Set<Holdable>()
  const pending = [held]
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    const { holder } = next
    if (holder === undefined) continue
    if (mine.has(holder)) return true
    pending.push(...holder.waitsFor)
  }
  return false
}
