import type { SeededRandom } from '@moraine/base'
import type { ModelOperation } from '../model/model-operation.ts'
import { FLEET_KEYSPACES } from './fleet-model.ts'

/** One of so few keys that databases overwrite, delete and share them all the time. */
export function drawKey(random: SeededRandom): string {
  return `key-${String(random.below(200)).padStart(3, '0')}`
}

export function drawRange(random: SeededRandom): { gte: string; lt: string } {
  const [a, b] = [drawKey(random), drawKey(random)]
  return a < b ? { gte: a, lt: b } : { gte: b, lt: `${a}~` }
}

/** Mostly a put whose value tells when it was made, or a delete; now and then a merge or a range delete. */
export function drawOperation(random: SeededRandom, step: number): ModelOperation {
  const keyspace = random.chance(0.7) ? FLEET_KEYSPACES[0] : random.pick(FLEET_KEYSPACES)
  const name = keyspace?.name ?? ''
  const key = drawKey(random)
  const ttl = random.chance(0.15) ? { ttlMs: random.pick([1_000, 10_000, 60_000]) } : {}
  const dice = random.below(100)
  if (dice < 22) return { kind: 'delete', keyspace: name, key }
  if (dice < 26) return { kind: 'deleteRange', keyspace: name, ...(random.chance(0.8) ? { gte: key, lt: `${key.slice(0, 6)}~` } : drawRange(random)) }
  if (dice < 42 && keyspace?.operand !== undefined) {
    return { kind: 'merge', keyspace: name, key, value: keyspace.operand(step, (bound) => random.below(bound)), ...ttl }
  }
  const value = name === 'counts' ? '12345678' : `${step}:${'v'.repeat(random.below(80))}`
  return { kind: 'put', keyspace: name, key, value, ...ttl }
}
