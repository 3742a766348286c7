import { type ObjectStore, PrefixedObjectStore } from '@moraine/object-store'
import type { Origin, OriginPlace } from '../manifest/origin.ts'

/**
 * The stores that a database's tables are read from: its own prefix, and those of the databases it was cloned from. All
 * of them are seen through one root, so that requests are counted and retried in one place.
 */
export class OriginStores {
  /** The database's own prefix. */
  readonly own: ObjectStore
  readonly #root: ObjectStore
  readonly #openUrl: (url: string) => ObjectStore
  readonly #stores = new Map<string, ObjectStore>()
  readonly #opened: ObjectStore[] = []

  /**
   * @param root the bucket, folder or memory store, wrapped as it should be used
   * @param prefix the database's prefix in it
   * @param openUrl opens the place of an origin that is not in `root`, wrapped likewise
   */
  constructor(root: ObjectStore, prefix: string, openUrl: (url: string) => ObjectStore) {
    this.#root = root
    this.#openUrl = openUrl
    this.own = new PrefixedObjectStore(root, prefix)
  }

  /** The prefix of an origin as a store; the database's own for undefined. */
  of(origin: Origin | undefined): ObjectStore {
    return origin === undefined ? this.own : this.at(origin.place)
  }

  at(place: OriginPlace): ObjectStore {
    const key = place.kind === 'sibling' ? `sibling ${place.prefix}` : `url ${place.url}`
    const known = this.#stores.get(key)
    if (known !== undefined) return known
    let store: ObjectStore
    if (place.kind === 'sibling') {
      store = new PrefixedObjectStore(this.#root, place.prefix)
    } else {
      store = this.#openUrl(place.url)
      this.#opened.push(store)
    }
    this.#stores.set(key, store)
    return store
  }

  /** Closes the root and every store that was opened by URL. */
  async close(): Promise<void> {
    await Promise.all([this.#root.close(), this.closeOpened()])
  }

  /** Closes the stores that were opened by URL, and leaves the root to whoever owns it. */
  async closeOpened(): Promise<void> {
    await Promise.all(this.#opened.map((store) => store.close()))
  }
}
