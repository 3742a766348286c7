import { statePrefix } from '../state-key/state-key.ts'
import { compareTimers, GroupTimers, type ScanTimers } from './group-timers.ts'

const LOADS_AT_ONCE = 16

interface HeapItem {
  readonly group: GroupTimers
  /** The group's earliest timer when the item was put here; if it is not any more, the item means nothing. */
  readonly head: Uint8Array
}

/** All timers of one domain in the order in which they fire, over all key groups. */
export class TimerQueue {
  readonly #first: number
  readonly #groups: GroupTimers[]
  readonly #heap: HeapItem[] = []
  /** Groups whose earliest timer stands in the database only. */
  readonly #unknown: Set<GroupTimers>

  /** `empty`: the database has no timer of this domain. */
  constructor(stateId: number, groups: { readonly first: number; readonly last: number }, empty: boolean) {
    this.#first = groups.first
    this.#groups = Array.from(
      { length: groups.last - groups.first + 1 },
      (_, i) => new GroupTimers(empty ? undefined : statePrefix(groups.first + i, stateId)),
    )
    this.#unknown = new Set(empty ? [] : this.#groups)
  }

  get isKnown(): boolean {
    return this.#unknown.size === 0
  }

  /** Finds out about the earliest timer of every group. */
  async load(scan: ScanTimers): Promise<void> {
    const next = [...this.#unknown].values()
    const worker = async (): Promise<void> => {
      for (const group of next) {
        await group.load(scan)
        this.#noteHead(group)
      }
    }
    await Promise.all(Array.from({ length: Math.min(LOADS_AT_ONCE, this.#unknown.size) }, worker))
  }

  /** The earliest timer; only right when `isKnown`. */
  peek(): Uint8Array | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined) return undefined
      if (top.group.head === top.head) return top.head
      this.#pop()
    }
  }

  register(group: number, key: Uint8Array): void {
    const timers = this.#groups[group - this.#first] as GroupTimers
    const before = timers.head
    timers.register(key)
    if (timers.head !== before) this.#noteHead(timers)
  }

  delete(group: number, key: Uint8Array): void {
    const timers = this.#groups[group - this.#first] as GroupTimers
    const before = timers.head
    timers.delete(key)
    if (timers.head !== before) this.#noteHead(timers)
  }

  #noteHead(group: GroupTimers): void {
    if (group.isKnown) this.#unknown.delete(group)
    else this.#unknown.add(group)
    if (group.head !== undefined) this.#push({ group, head: group.head })
  }

  #push(item: HeapItem): void {
    const heap = this.#heap
    let at = heap.push(item) - 1
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (compareTimers((heap[parent] as HeapItem).head, item.head) <= 0) break
      heap[at] = heap[parent] as HeapItem
      at = parent
    }
    heap[at] = item
  }

  #pop(): void {
    const heap = this.#heap
    const item = heap.pop() as HeapItem
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = child + 1
      if (right < heap.length && compareTimers((heap[right] as HeapItem).head, (heap[child] as HeapItem).head) < 0) child = right
      if (compareTimers(item.head, (heap[child] as HeapItem).head) <= 0) break
      heap[at] = heap[child] as HeapItem
      at = child
    }
    heap[at] = item
  }
}
