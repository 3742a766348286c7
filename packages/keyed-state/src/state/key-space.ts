import { MoraineError } from '@moraine/base'
import { type Codec, describe } from '../codec/codec.ts'
import { decodeNamespace, encodeNamespace, type Namespace, namespaceToken } from '../codec/namespace-codec.ts'
import { foreignKey, keyGroupOf, type KeyGroupRange } from '../key-group/key-group.ts'
import { parseStateKey, stateKey } from '../state-key/state-key.ts'

/** A key with its bytes and its group. */
export interface PlacedKey {
  readonly group: number
  readonly bytes: Uint8Array
}

/** The keys of a backend: how they are encoded, and which of them it holds. */
export class KeySpace<Key> {
  readonly codec: Codec<Key>
  readonly groups: KeyGroupRange
  readonly #scalar: boolean

  constructor(codec: Codec<Key>, groups: KeyGroupRange) {
    this.codec = codec
    this.groups = groups
    this.#scalar = codec.scalar === true
  }

  /** Encodes a key; INVALID when it cannot be, or belongs to a group that is not here. */
  place(key: Key): PlacedKey {
    const bytes = this.#encode(key)
    const group = keyGroupOf(bytes, this.groups.total)
    if (group < this.groups.first || group > this.groups.last) throw foreignKey(describe(key), group, this.groups)
    return { group, bytes }
  }

  /** What a key without a namespace is found by in memory; equal for equal keys only. */
  token(key: Key): unknown {
    return this.#scalar ? key : Buffer.from(this.#encode(key)).toString('latin1')
  }

  /** The same with a namespace. */
  spacedToken(key: Key, namespace: Namespace): string {
    let space: string
    try {
      space = namespaceToken(namespace)
    } catch (cause) {
      throw new MoraineError('INVALID', (cause as Error).message, { cause })
    }
    return `${space.length}:${space}${String(this.token(key))}`
  }

  /** The key of (state, key, namespace), and the beginning of its entries' keys. */
  stateKey(stateId: number, key: Key, namespace: Namespace | undefined): Uint8Array {
    const { group, bytes } = this.place(key)
    return stateKey(group, stateId, bytes, namespaceBytes(namespace))
  }

  /** What stands in a state key. */
  read(bytes: Uint8Array): { key: Key; namespace: Namespace | undefined; restAt: number } {
    const parts = parseStateKey(bytes)
    return { key: this.codec.decode(parts.key, this.codec.version), namespace: decodeNamespace(parts.namespace), restAt: parts.restAt }
  }

  /** A state key for messages. */
  describe(bytes: Uint8Array): string {
    const { key, namespace } = this.read(bytes)
    return namespace === undefined ? describe(key) : `${describe(key)} in namespace ${namespaceToken(namespace).slice(1)}`
  }

  #encode(key: Key): Uint8Array {
    try {
      return this.codec.encode(key)
    } catch (cause) {
      throw new MoraineError('INVALID', `${describe(key)} is no key for the key codec '${this.codec.name}': ${(cause as Error).message}`, { cause })
    }
  }
}

/** INVALID for what is no namespace. */
export function namespaceBytes(namespace: Namespace | undefined): Uint8Array {
  try {
    return encodeNamespace(namespace)
  } catch (cause) {
    throw new MoraineError('INVALID', (cause as Error).message, { cause })
  }
}
