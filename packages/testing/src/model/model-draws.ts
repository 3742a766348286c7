import type { SeededRandom } from '@moraine/base'
import type { ModelBounds } from './model-database.ts'
import { counterText, type DrivenKeyspace } from './model-keyspaces.ts'
import type { ModelOperation, PointOperation, RangeDelete } from './model-operation.ts'

/** What a run of the model does next, drawn so that keys meet all the time. */
export class ModelDraws {
  readonly random: SeededRandom
  readonly #keyspaces: readonly DrivenKeyspace[]
  readonly #withTtl: boolean
  /** Values say at which step they were made. */
  step = 0

  constructor(random: SeededRandom, keyspaces: readonly DrivenKeyspace[], withTtl: boolean) {
    this.random = random
    this.#keyspaces = keyspaces
    this.#withTtl = withTtl
  }

  keyspace(): DrivenKeyspace {
    // The default one half of the time, so that its versions pile up.
    return this.random.chance(0.5) ? (this.#keyspaces[0] as DrivenKeyspace) : this.random.pick(this.#keyspaces)
  }

  key(): string {
    const { random } = this
    if (random.below(50) === 0) return ''
    const shape = random.below(4)
    if (shape < 2) return `k${String(random.below(100)).padStart(2, '0')}`
    if (shape === 2) return `user/${String(random.below(12)).padStart(6, '0')}/${'x'.repeat(random.below(6))}`
    return String.fromCharCode(...Array.from({ length: 1 + random.below(4) }, () => random.pick([0, 1, 97, 98, 254, 255])))
  }

  operation(): ModelOperation {
    const dice = this.random.below(100)
    if (dice < 42) return this.#put(this.keyspace())
    if (dice < 57) return { kind: 'delete', keyspace: this.keyspace().name, key: this.key() }
    if (dice < 64) return this.#deleteRange()
    const keyspace = this.keyspace()
    const value = keyspace.operand?.(this.step, (bound) => this.random.below(bound))
    if (value === undefined) return this.#put(keyspace)
    return { kind: 'merge', keyspace: keyspace.name, key: this.key(), value, ...this.#ttl() }
  }

  batch(): ModelOperation[] {
    return Array.from({ length: 1 + this.random.below(this.random.chance(0.1) ? 120 : 25) }, () => this.operation())
  }

  bounds(): ModelBounds {
    const { random } = this
    const bounds: { -readonly [Name in keyof ModelBounds]: ModelBounds[Name] } = {}
    if (random.chance(0.3)) bounds.gte = this.key()
    if (random.chance(0.15)) bounds.gt = this.key()
    if (random.chance(0.3)) bounds.lt = this.key()
    if (random.chance(0.15)) bounds.lte = this.key()
    if (random.chance(0.15)) bounds.prefix = this.key().slice(0, random.below(6))
    if (random.chance(0.5)) bounds.reverse = true
    if (random.chance(0.3)) bounds.limit = random.below(12)
    return bounds
  }

  /** Two keys in order; the second one is above the first. */
  range(): { readonly gte: string; readonly lt: string } {
    const [a, b] = [this.key(), this.key()]
    if (a === b) return { gte: a, lt: `${a}\0` }
    return a < b ? { gte: a, lt: b } : { gte: b, lt: a }
  }

  #put(keyspace: DrivenKeyspace): PointOperation {
    return { kind: 'put', keyspace: keyspace.name, key: this.key(), value: this.#value(keyspace), ...this.#ttl() }
  }

  #value(keyspace: DrivenKeyspace): string {
    const { random } = this
    if (keyspace.name === 'counts') return counterText(BigInt(random.below(1_000_000)))
    const size = random.below(20) === 0 ? random.below(6000) : random.below(60)
    const start = keyspace.options.compactionFilter === undefined ? '' : random.pick(['', 'x', 'old'])
    return `${start}${this.step}:`.padEnd(size, String.fromCharCode(65 + random.below(26)))
  }

  #ttl(): { readonly ttlMs?: number } {
    if (!this.#withTtl || this.random.chance(0.6)) return {}
    return { ttlMs: this.random.pick([1, 1_000, 5_000, 5_000, 20_000, 60_000, Number.POSITIVE_INFINITY]) }
  }

  #deleteRange(): RangeDelete {
    const { random } = this
    const { name: keyspace } = this.keyspace()
    const kind = 'deleteRange'
    const dice = random.below(20)
    if (dice === 0) return { kind, keyspace }
    if (dice === 1) return { kind, keyspace, gte: this.key() }
    if (dice === 2) return { kind, keyspace, lt: this.key() }
    if (dice < 11) {
      const first = random.below(90)
      const numbered = (n: number): string => `k${String(n).padStart(2, '0')}`
      return { kind, keyspace, gte: numbered(first), lt: numbered(first + 1 + random.below(9)) }
    }
    if (dice < 15) {
      const gte = this.key()
      return { kind, keyspace, gte, lt: `${gte}\0` }
    }
    return { kind, keyspace, ...this.range() }
  }
}
