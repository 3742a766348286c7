import { isMoraineError } from '@moraine/base'
import type { KeyspaceRecord } from '../manifest/keyspace-record.ts'
import type { VersionSet } from '../manifest/version-set.ts'
import type { Keyspaces } from '../table/keyspaces.ts'

/**
 * Sees to it that a manifest says what the operands in the log mean before any of them is acknowledged. Otherwise a crash
 * right after `db.keyspace` and the first merges would leave operands that the next process might read with another
 * operator. One commit for each declaration, and none where tables and what is remembered travel in the same commit.
 */
export class KeyspaceMemory {
  readonly #keyspaces: Keyspaces
  readonly #versions: VersionSet
  readonly #hasLog: boolean
  readonly #signal: AbortSignal
  readonly #onFenced: (error: unknown) => void
  #remembered: readonly KeyspaceRecord[]
  #under: { readonly records: readonly KeyspaceRecord[]; readonly way: Promise<void> } | undefined

  /** What is declared by now stands in the manifest that the engine begins with. */
  constructor(parts: {
    readonly keyspaces: Keyspaces
    readonly versions: VersionSet
    readonly hasLog: boolean
    readonly onFenced: (error: unknown) => void
    readonly signal: AbortSignal
  }) {
    this.#keyspaces = parts.keyspaces
    this.#versions = parts.versions
    this.#hasLog = parts.hasLog
    this.#signal = parts.signal
    this.#onFenced = parts.onFenced
    this.#remembered = parts.keyspaces.records
  }

  /** A write of operands, which is acknowledged when everything declared so far is remembered as well. */
  explained(written: Promise<void>): Promise<void> {
    const { records } = this.#keyspaces
    if (records === this.#remembered || !this.#hasLog) return written
    const way = this.#remember(records).catch((error: unknown) => {
      // Perhaps the first to notice the new owner.
      if (isMoraineError(error, 'FENCED')) this.#onFenced(error)
      throw error
    })
    return Promise.all([written, way]).then(() => {})
  }

  #remember(records: readonly KeyspaceRecord[]): Promise<void> {
    if (this.#under?.records !== records) {
      const publish = (): void => {
        this.#remembered = records
      }
      this.#under = { records, way: this.#versions.commit(() => ({}), publish, this.#signal).then(() => {}) }
    }
    return this.#under.way
  }
}
