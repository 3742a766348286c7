import type { CompactionFilter } from 'moraine'
import type { StateRegistry } from '../descriptor/registry.ts'
import { FIRST_STATE_ID, isGroupKey, stateIdAt } from '../state-key/state-key.ts'
import type { BackendTime } from './backend-time.ts'
import { canExpire, openEnvelope } from './envelope.ts'

/**
 * Lets compactions drop what has expired. A checkpoint keeps the tables it was made of, so what is dropped after it is still
 * there when it is restored, together with the time it had then.
 */
export class ExpiryFilter implements CompactionFilter {
  readonly name = 'keyed-state expiry'
  #scope: { readonly time: BackendTime; readonly registry: StateRegistry } | undefined

  /** From now on, with these; before, nothing is dropped. */
  activate(time: BackendTime, registry: StateRegistry): void {
    this.#scope = { time, registry }
  }

  filter(key: Uint8Array, value: Uint8Array): 'keep' | 'remove' {
    if (this.#scope === undefined || !isGroupKey(key) || !canExpire(value)) return 'keep'
    const stateId = stateIdAt(key)
    if (stateId < FIRST_STATE_ID) return 'keep'
    const { time, registry } = this.#scope
    const { expiresAt, eventTime } = openEnvelope(value)
    return time.isExpired(expiresAt, eventTime, registry.byId(stateId)?.ttl?.ms ?? Number.POSITIVE_INFINITY) ? 'remove' : 'keep'
  }
}
