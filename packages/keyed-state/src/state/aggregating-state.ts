import { MoraineError } from '@moraine/base'
import type { Namespace } from '../codec/namespace-codec.ts'
import type { AggregatingOptions } from '../descriptor/descriptor.ts'
import { SingleValueStates } from './keyed-states.ts'
import { mergeValues } from './merge-namespaces.ts'
import type { ValueCells } from './value-cells.ts'

/** Aggregating state: an accumulator per key and namespace, to which values of another type are added. */
export class AggregatingState<Key, In, Acc, Out> extends SingleValueStates<Key, Acc> {
  readonly #cells: ValueCells<Key, Acc>
  readonly #aggregate: AggregatingOptions<In, Acc, Out>

  constructor(cells: ValueCells<Key, Acc>, aggregate: AggregatingOptions<In, Acc, Out>) {
    super(cells)
    this.#cells = cells
    this.#aggregate = aggregate
  }

  of(key: Key, namespace?: Namespace): AggregatingHandle<Key, In, Acc, Out> {
    return new AggregatingHandle(this.#cells, this.#aggregate, key, namespace)
  }

  /** Merges the accumulators of `sources` and of `target` into `target`, and clears the sources. INVALID without `merge`. */
  mergeNamespaces(key: Key, target: Namespace, sources: readonly Namespace[]): Promise<void> {
    const { merge } = this.#aggregate
    if (merge === undefined) {
      return Promise.reject(new MoraineError('INVALID', `state '${this.name}' declares no merge: its namespaces cannot be merged`))
    }
    return mergeValues(this.#cells, key, target, sources, (a, b) => merge.call(this.#aggregate, a, b))
  }
}

export class AggregatingHandle<Key, In, Acc, Out> {
  readonly #cells: ValueCells<Key, Acc>
  readonly #aggregate: AggregatingOptions<In, Acc, Out>
  readonly #key: Key
  readonly #namespace: Namespace | undefined

  constructor(cells: ValueCells<Key, Acc>, aggregate: AggregatingOptions<In, Acc, Out>, key: Key, namespace: Namespace | undefined) {
    this.#cells = cells
    this.#aggregate = aggregate
    this.#key = key
    this.#namespace = namespace
  }

  add(value: In): Promise<void> {
    const aggregate = this.#aggregate
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => {
      calls.update(cell, (present) => aggregate.add(present === undefined ? aggregate.create() : present, value))
    })
  }

  /** The result of the accumulator; undefined when nothing was added. */
  get(): Promise<Out | undefined> {
    const aggregate = this.#aggregate
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => {
      const accumulator = calls.lend(cell)
      return accumulator === undefined ? undefined : aggregate.result(accumulator)
    })
  }

  clear(): Promise<void> {
    const { calls } = this.#cells
    return this.#cells.call(this.#key, this.#namespace, (cell) => calls.clear(cell))
  }
}
