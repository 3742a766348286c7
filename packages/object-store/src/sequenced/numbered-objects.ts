import { MoraineError, type Clock, type Random } from '@moraine/base'
import { createExactly } from '../create-exactly.ts'
import type { ObjectStore } from '../object-store.ts'
import type { RequestAccount } from '../wrap/request-account.ts'

/**
 * A series of small immutable objects under one prefix, numbered 1, 2, 3, ... and created only if absent: the one
 * conditional operation that every S3-compatible store implements alike. Whoever creates number n owns it; a lost race
 * is a value, not an error. Nothing here knows what the objects mean.
 */
export interface NumberedNames {
  /** Common prefix of the series. */
  readonly prefix: string
  /** The name of a number. Names sort so that the highest number comes first in a listing. */
  name(id: number): string
  /** The number of a name; undefined for a foreign object. */
  parse(name: string): number | undefined
}

export interface NumberedObjectsOptions {
  readonly clock: Clock
  readonly random: Random
}

export class NumberedObjects {
  readonly #store: ObjectStore
  readonly #names: NumberedNames
  readonly #options: NumberedObjectsOptions

  constructor(store: ObjectStore, names: NumberedNames, options: NumberedObjectsOptions) {
    this.#store = store
    this.#names = names
    this.#options = options
  }

  /**
   * The highest number that exists, or undefined: one LIST of one key. Stores whose listings have no order are listed
   * whole, which costs a request per thousand objects of the series.
   */
  async newest(signal?: AbortSignal, account?: RequestAccount): Promise<number | undefined> {
    if (this.#store.traits.orderedList) {
      const page = await this.#store.list(this.#names.prefix, { maxKeys: 1, signal, account })
      const first = page.objects[0]
      if (first === undefined) return undefined
      const id = this.#names.parse(first.key)
      if (id !== undefined) return id
      // Something foreign sorts first; only a whole listing can look past it.
    }
    return (await this.all(signal, account)).at(-1)
  }

  /** Every number that exists, ascending. */
  async all(signal?: AbortSignal, account?: RequestAccount): Promise<number[]> {
    const ids: number[] = []
    let token: string | undefined
    do {
      const page = await this.#store.list(this.#names.prefix, { token, signal, account })
      for (const object of page.objects) {
        const id = this.#names.parse(object.key)
        if (id !== undefined) ids.push(id)
      }
      token = page.nextToken
    } while (token !== undefined)
    return ids.sort((a, b) => a - b)
  }

  /** The bytes of a number; undefined when it does not exist (never created, or collected). */
  async read(id: number, signal?: AbortSignal, account?: RequestAccount): Promise<Uint8Array | undefined> {
    return (await this.#store.get(this.#names.name(id), { signal, account }))?.bytes
  }

  /**
   * Creates a number with exactly these bytes, which must hold a token that nobody else writes. Retries the identical
   * bytes until the outcome is definite: `created` when the object is ours, `exists` when it is another's.
   */
  create(id: number, bytes: Uint8Array, signal?: AbortSignal, account?: RequestAccount): Promise<'created' | 'exists'> {
    if (!Number.isSafeInteger(id) || id < 1) throw new MoraineError('INTERNAL', `cannot create number ${id} of a series`)
    return createExactly(this.#store, this.#names.name(id), bytes, { ...this.#options, signal, account })
  }

  /** Deletes the objects of these numbers. */
  delete(ids: readonly number[], signal?: AbortSignal, account?: RequestAccount): Promise<void> {
    return this.#store.deleteMany(
      ids.map((id) => this.#names.name(id)),
      { signal, account },
    )
  }
}
