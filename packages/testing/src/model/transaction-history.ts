import type { IsolationLevel } from 'moraine'
import { type ModelBounds, type ModelEntry, scanState } from './model-database.ts'

/** A key that is put, or deleted when there is no value; or a range of keys that is deleted. */
export type RecordedChange =
  | { readonly kind: 'write'; readonly key: string; readonly value: string | undefined }
  | { readonly kind: 'deleteRange'; readonly gte: string; readonly lt: string }

/** What a transaction did, in its order, with the answers it got. */
export type RecordedStep =
  | RecordedChange
  | { readonly kind: 'get'; readonly key: string; found?: string | undefined }
  | { readonly kind: 'scan'; readonly bounds: ModelBounds; readonly delivered: ModelEntry[]; ranOut: boolean }

export interface RecordedTransaction {
  readonly name: string
  readonly isolation: IsolationLevel
  /** The last write before it began. */
  readonly began: number
  readonly steps: RecordedStep[]
  /** The last write before its commit, and what the commit said; undefined when it was rolled back. */
  end?: { readonly after: number; readonly outcome: string }
}

/** A write of one or more changes, all at once; `seq` is the sequence number of the last one. */
export interface RecordedWrite {
  readonly seq: number
  readonly changes: readonly RecordedChange[]
}

export class HistoryViolation extends Error {}

/**
 * All writes of a database in their order, and the transactions that ran meanwhile: answers from first principles what each
 * of them should have seen, and how its commit should have ended.
 */
export class TransactionHistory {
  readonly writes: RecordedWrite[] = []
  readonly transactions: RecordedTransaction[] = []

  get lastSeq(): number {
    return this.writes.at(-1)?.seq ?? 0
  }

  stateAt(seq: number): Map<string, string> {
    const state = new Map<string, string>()
    for (const write of this.writes) if (write.seq <= seq) for (const change of write.changes) applyChange(state, change)
    return state
  }

  /** Throws a HistoryViolation at the first answer or outcome that should have been another. */
  check(): void {
    for (const tx of this.transactions) {
      const wrong = this.firstWrongAnswer(tx, tx.began)
      if (wrong !== undefined) throw new HistoryViolation(`${tx.name} at its snapshot: ${wrong}`)
      if (tx.end === undefined) continue
      const conflict = this.#conflict(tx, tx.end.after)
      const wanted = conflict === undefined ? 'ok' : 'CONFLICT'
      if (tx.end.outcome !== wanted) {
        throw new HistoryViolation(`the commit of ${tx.name} ended with ${tx.end.outcome}, not ${wanted}: ${conflict ?? 'nothing it rests on was written'}`)
      }
      // The definition itself: in the order of the commits, one after the other, all would have seen the same.
      if (tx.isolation !== 'serializable' || wanted !== 'ok') continue
      const late = this.firstWrongAnswer(tx, tx.end.after)
      if (late !== undefined) throw new HistoryViolation(`${tx.name} at its commit: ${late}`)
    }
  }

  /** The first answer that is another one when the transaction runs on the state at `seq`. */
  firstWrongAnswer(tx: RecordedTransaction, seq: number): string | undefined {
    const state = this.stateAt(seq)
    for (const step of tx.steps) {
      if (step.kind === 'write' || step.kind === 'deleteRange') applyChange(state, step)
      else if (step.kind === 'get') {
        if (step.found !== state.get(step.key)) return `get(${step.key}) gave ${step.found}, not ${state.get(step.key)}`
      } else {
        const all = scanState(state, step.bounds)
        const wanted = step.ranOut ? all : all.slice(0, step.delivered.length)
        if (JSON.stringify(step.delivered) !== JSON.stringify(wanted)) {
          return `scan(${JSON.stringify(step.bounds)}) gave ${JSON.stringify(step.delivered)}, not ${JSON.stringify(wanted)}`
        }
      }
    }
    return undefined
  }

  /** What was written between the beginning and the commit that the transaction rests on. */
  #conflict(tx: RecordedTransaction, until: number): string | undefined {
    const since = this.writes.filter(({ seq }) => seq > tx.began && seq <= until).flatMap((write) => write.changes)
    const written = (key: string): boolean => since.some((change) => changes(change, key))
    const own: RecordedChange[] = []
    for (const step of tx.steps) {
      if (step.kind === 'write' || step.kind === 'deleteRange') {
        own.push(step)
        const key = PROBES.find((probe) => changes(step, probe) && written(probe))
        // A put that a later range delete of its own covers is still one of the range.
        if (key !== undefined) return `${key}, which it writes, was written`
      } else if (tx.isolation === 'snapshot') continue
      else if (step.kind === 'get') {
        if (!own.some((change) => changes(change, step.key)) && written(step.key)) return `${step.key}, which it read, was written`
      } else {
        const key = PROBES.find((probe) => isKnown(step, probe) && written(probe))
        if (key !== undefined) return `${key}, which it scanned, was written`
      }
    }
    return undefined
  }
}

/** The keys that histories use. */
export const HISTORY_KEYS: readonly string[] = [...'abcdefgh']

/** Each of them and the key right after it: every range between two of them that is not empty holds one of these. */
const PROBES: readonly string[] = HISTORY_KEYS.flatMap((key) => [key, `${key}\0`])

function changes(change: RecordedChange, key: string): boolean {
  return change.kind === 'write' ? change.key === key : key >= change.gte && key < change.lt
}

/** Whether what a scan gave says anything about a key. */
function isKnown({ bounds, delivered, ranOut }: RecordedStep & { kind: 'scan' }, key: string): boolean {
  const { limit, ...range } = bounds
  if (scanState(new Map([[key, '']]), range).length === 0) return false
  if (ranOut && (limit === undefined || delivered.length < limit)) return true
  const last = delivered.at(-1)?.[0]
  if (last === undefined) return false
  return bounds.reverse === true ? key >= last : key <= last
}

function applyChange(state: Map<string, string>, change: RecordedChange): void {
  if (change.kind === 'deleteRange') {
    for (const key of state.keys()) if (changes(change, key)) state.delete(key)
  } else if (change.value === undefined) state.delete(change.key)
  else state.set(change.key, change.value)
}
