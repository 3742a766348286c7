import { compareRanges } from '@moraine/base'
import { EntryFields } from './entry-fields.ts'
import type { EntryIterator, MaybePromise } from './entry-iterator.ts'

/**
 * Merges several iterators into one sequence in internal order. Children are kept in a binary heap by their current
 * entry; the top of the heap is the current entry. When the direction turns, the other children are placed anew.
 *
 * Equal (key, seq) pairs cannot occur: every write has its own sequence number and stands in one place of a version.
 */
export class MergingIterator extends EntryFields implements EntryIterator {
  readonly #children: readonly EntryIterator[]
  readonly #heap: EntryIterator[] = []
  #forward = true

  constructor(children: readonly EntryIterator[]) {
    super()
    this.#children = children
  }

  seek(key: Uint8Array, seq: number): MaybePromise {
    this.#forward = true
    return this.#placeAll((child) => child.seek(key, seq))
  }

  seekToFirst(): MaybePromise {
    this.#forward = true
    return this.#placeAll((child) => child.seekToFirst())
  }

  seekBefore(key: Uint8Array): MaybePromise {
    this.#forward = false
    return this.#placeAll((child) => child.seekBefore(key))
  }

  seekToLast(): MaybePromise {
    this.#forward = false
    return this.#placeAll((child) => child.seekToLast())
  }

  next(): MaybePromise {
    if (!this.#forward) return this.#turn(true)
    const top = this.#heap[0] as EntryIterator
    const wait = top.next()
    if (wait !== undefined) return this.#afterTopMoves(wait)
    this.#settleTop()
    return undefined
  }

  prev(): MaybePromise {
    if (this.#forward) return this.#turn(false)
    const top = this.#heap[0] as EntryIterator
    const wait = top.prev()
    if (wait !== undefined) return this.#afterTopMoves(wait)
    this.#settleTop()
    return undefined
  }

  close(): void {
    this.valid = false
    this.#heap.length = 0
    for (const child of this.#children) child.close()
  }

  /** Moves every child with `place`, waits for those that need I/O (all at once), then builds the heap. */
  #placeAll(place: (child: EntryIterator) => MaybePromise): MaybePromise {
    this.valid = false
    let waits: Promise<void>[] | undefined
    for (const child of this.#children) {
      const wait = place(child)
      if (wait !== undefined) (waits ??= []).push(wait)
    }
    if (waits === undefined) {
      this.#build()
      return undefined
    }
    return Promise.all(waits).then(() => this.#build())
  }

  async #afterTopMoves(wait: Promise<void>): Promise<void> {
    this.valid = false
    await wait
    // Closed while the child waited: there is no top any more.
    if (this.#heap.length > 0) this.#settleTop()
  }

  /**
   * Changes direction at the current entry. Every child is placed beside the current key anew: simple, and rare
   * enough that the price does not matter.
   */
  #turn(forward: boolean): MaybePromise {
    const key = this.keyBytes.slice(this.keyStart, this.keyEnd)
    const seq = this.seq
    this.#forward = forward
    const wait = this.#placeAll((child) => (forward ? child.seek(key, seq) : placeBefore(child, key, seq)))
    // Going forward, the children stand at or after the current entry: step over the entry itself.
    if (!forward) return wait
    if (wait !== undefined) return wait.then(() => this.#stepOver(key, seq))
    return this.#stepOver(key, seq)
  }

  #stepOver(key: Uint8Array, seq: number): MaybePromise {
    const standsOnIt =
      this.valid && this.seq === seq && compareRanges(this.keyBytes, this.keyStart, this.keyEnd, key, 0, key.length) === 0
    return standsOnIt ? this.next() : undefined
  }

  #build(): void {
    const heap = this.#heap
    heap.length = 0
    for (const child of this.#children) if (child.valid) heap.push(child)
    for (let i = (heap.length >> 1) - 1; i >= 0; i--) this.#siftDown(i)
    this.#expose()
  }

  #settleTop(): void {
    const heap = this.#heap
    if (!(heap[0] as EntryIterator).valid) {
      const last = heap.pop() as EntryIterator
      if (heap.length > 0) heap[0] = last
    }
    if (heap.length > 1) this.#siftDown(0)
    this.#expose()
  }

  #siftDown(start: number): void {
    const heap = this.#heap
    const size = heap.length
    const moved = heap[start] as EntryIterator
    let at = start
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      const right = child + 1
      if (right < size && this.#before(heap[right] as EntryIterator, heap[child] as EntryIterator)) child = right
      if (!this.#before(heap[child] as EntryIterator, moved)) break
      heap[at] = heap[child] as EntryIterator
      at = child
    }
    heap[at] = moved
  }

  #before(a: EntryIterator, b: EntryIterator): boolean {
    const order = compareRanges(a.keyBytes, a.keyStart, a.keyEnd, b.keyBytes, b.keyStart, b.keyEnd)
    if (order !== 0) return this.#forward ? order < 0 : order > 0
    return this.#forward ? a.seq > b.seq : a.seq < b.seq
  }

  #expose(): void {
    const top = this.#heap[0]
    if (top === undefined) {
      this.valid = false
      return
    }
    this.valid = true
    this.show(top)
  }
}


/** To the last entry strictly before (key, seq) in internal order. */
function placeBefore(child: EntryIterator, key: Uint8Array, seq: number): MaybePromise {
  const wait = child.seek(key, seq)
  if (wait !== undefined) return wait.then(() => stepBack(child))
  return stepBack(child)
}

function stepBack(child: EntryIterator): MaybePromise {
  return child.valid ? child.prev() : child.seekToLast()
}
