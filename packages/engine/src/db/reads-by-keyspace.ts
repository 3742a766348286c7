import { keyspaceName, type KeyspaceReference, keyspacePrefix } from '../key/keyspace.ts'
import { type ReadEngine, Reads } from './reads.ts'

/** The reads of one keyspace, and what its stored keys begin with. */
export interface KeyspaceReads {
  readonly prefix: Uint8Array
  readonly reads: Reads
}

/** The reads of an engine's keyspaces for calls that name theirs; made once, because each has a buffer for its keys. */
export class ReadsByKeyspace {
  readonly engine: ReadEngine
  readonly #known = new Map<string, KeyspaceReads>()

  constructor(engine: ReadEngine) {
    this.engine = engine
  }

  /** INVALID for what is no keyspace's name; undefined is the default keyspace. */
  of(reference: KeyspaceReference = ''): KeyspaceReads {
    const name = keyspaceName(reference)
    let known = this.#known.get(name)
    if (known === undefined) {
      const prefix = keyspacePrefix(name)
      known = { prefix, reads: new Reads(this.engine, prefix) }
      this.#known.set(name, known)
    }
    return known
  }
}
