import { KeyFilter } from './key-filter.ts'

/** The hashes of a table's keys, gathered until their number is known and a filter can be sized for them. */
export class HashCollector {
  count = 0
  #hashes = new Uint32Array(4096)

  add(hash: number): void {
    if (this.count === this.#hashes.length) {
      const grown = new Uint32Array(this.#hashes.length * 2)
      grown.set(this.#hashes)
      this.#hashes = grown
    }
    this.#hashes[this.count++] = hash
  }

  /** At least one hash must have been added. */
  buildFilter(bitsPerKey: number): KeyFilter {
    const filter = KeyFilter.forKeys(this.count, bitsPerKey)
    for (let i = 0; i < this.count; i++) filter.addHash(this.#hashes[i] as number)
    return filter
  }
}
