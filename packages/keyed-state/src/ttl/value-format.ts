import { MoraineError } from '@moraine/base'
import type { Codec } from '../codec/codec.ts'
import type { StateOptions, TtlOption, Upgrade } from '../descriptor/descriptor.ts'
import { upgradeChain } from '../descriptor/registry.ts'
import { type BackendTime, NEVER } from './backend-time.ts'
import { type Envelope, openEnvelope, wrapValue } from './envelope.ts'

/** A value as it stands in the database. */
export interface StoredValue<T> {
  readonly value: T
  readonly expiresAt: number
}

/** How the values of one state are stored: codec, version, upgrades and life time. */
export class ValueFormat<T> {
  /** Values are encoded when they are written, because nothing else shows whether they can be. */
  readonly eager: boolean
  readonly refreshOnRead: boolean
  readonly ttl: TtlOption | undefined
  readonly codec: Codec<T>
  readonly #version: number
  readonly #upgrades: readonly Upgrade[]
  readonly #time: BackendTime
  readonly #eventTime: boolean

  constructor(options: StateOptions<T>, time: BackendTime) {
    this.codec = options.codec
    this.ttl = options.ttl
    this.eager = options.codec.check === undefined
    this.refreshOnRead = options.ttl?.refresh === 'read-write'
    this.#version = options.version ?? options.codec.version
    this.#upgrades = options.upgrades ?? []
    this.#time = time
    this.#eventTime = options.ttl?.time === 'event'
  }

  /** When what is written now expires. */
  newExpiry(): number {
    return this.ttl === undefined ? NEVER : this.#time.expiryOf(this.ttl)
  }

  isExpired(expiresAt: number): boolean {
    return expiresAt !== NEVER && this.#time.isExpired(expiresAt, this.#eventTime, this.ttl?.ms ?? NEVER)
  }

  /** Throws what the codec throws. */
  check(value: T): void {
    this.codec.check?.(value)
  }

  encode(value: T, expiresAt: number): Uint8Array {
    return wrapValue(this.#version, expiresAt, this.#eventTime, this.codec.encode(value))
  }

  /** The value, or undefined when it has expired; throws what the codec or an upgrade throws. */
  decode(bytes: Uint8Array): StoredValue<T> | undefined {
    const envelope = openEnvelope(bytes)
    const { expiresAt, eventTime } = envelope
    if (expiresAt !== NEVER && this.#time.isExpired(expiresAt, eventTime, this.ttl?.ms ?? NEVER)) return undefined
    return { value: this.#valueOf(bytes, envelope), expiresAt }
  }

  #valueOf(bytes: Uint8Array, { version, payloadAt }: Envelope): T {
    // A copy: the codec may keep the bytes, and a view would keep the whole.
    const payload = bytes.slice(payloadAt)
    if (version === this.#version) return this.codec.decode(payload, version)
    const chain = upgradeChain(this.#upgrades, version, this.#version)
    if (chain === undefined) throw new RangeError(`the value has version ${version}, and no upgrade leads from there to ${this.#version}`)
    const decoder: Codec<unknown> = chain[0]?.codec ?? this.codec
    let value: unknown = decoder.decode(payload, version)
    for (const { upgrade } of chain) value = upgrade(value as never)
    return value as T
  }
}

/** INVALID: a value that its codec refused. The state is as it was. */
export function codecFailure(call: 'encode' | 'decode', state: string, key: string, codec: string, cause: unknown): MoraineError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MoraineError('INVALID', `the codec '${codec}' of state '${state}' could not ${call} the value of key ${key}: ${reason}`, {
    detail: { state, key },
    cause,
  })
}
