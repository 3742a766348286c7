import { MoraineError } from '@moraine/base'
import { builtinCodec } from '../codec/builtin-codecs.ts'
import type { Codec } from '../codec/codec.ts'
import { checkDescriptor } from '../descriptor/check-descriptor.ts'
import type { StateDescriptor, StateKind } from '../descriptor/descriptor.ts'
import { checkReadable, type StoredCodec, type StoredState } from '../descriptor/registry.ts'
import { unknownState } from '../state/state-scan.ts'

/**
 * A descriptor for reading what a database holds under a name: the one that is given, once it is known to fit, or one made
 * of what the database remembers, as far as its codecs are those of this package. What is made so shows accumulators instead of
 * results, and nothing can be added with it.
 */
export function describedState(stored: readonly StoredState[], asked: string | StateDescriptor): StateDescriptor {
  const name = typeof asked === 'string' ? asked : asked.name
  if (typeof asked !== 'string') checkDescriptor(asked)
  const state = stored.find((other) => other.name === name)
  if (state === undefined) {
    throw unknownState(
      name,
      stored.map((other) => other.name),
    )
  }
  if (typeof asked !== 'string') {
    checkReadable(state, asked)
    return asked
  }
  const version = state.versions.at(-1) as number
  if (state.versions.length > 1) {
    throw new MoraineError('INVALID', `state '${name}' may hold values of versions ${state.versions.join(', ')}: give its descriptor, with the upgrades`)
  }
  const codec = codecNamed(name, state.codec)
  const common = { name, codec, version, ...(state.ttl !== undefined && { ttl: state.ttl }), ...(state.separated === true && { separateLargeValues: true }) }
  // Reading needs no more than that: reduce, create and add are never called.
  const kind: Exclude<StateKind, 'reducing' | 'aggregating'> = state.kind === 'reducing' || state.kind === 'aggregating' ? 'value' : state.kind
  if (kind !== 'map') return { ...common, kind } as StateDescriptor
  return { ...common, kind, keyCodec: codecNamed(name, (state.keyCodec as StoredCodec).name) }
}

/** The key codec of a database: the one that is given, or one of this package. */
export function describedKeyCodec(stored: StoredCodec, asked: Codec<unknown> | undefined): Codec<unknown> {
  if (asked === undefined) return codecNamed(undefined, stored.name)
  if (asked.name === stored.name && asked.version === stored.version) return asked
  throw new MoraineError('INVALID', `the keys are in codec '${stored.name}' version ${stored.version}, not '${asked.name}' version ${asked.version}`)
}

function codecNamed(state: string | undefined, name: string): Codec<unknown> {
  const codec = builtinCodec(name)
  if (codec !== undefined) return codec
  const what = state === undefined ? 'keys are' : `state '${state}' is`
  const hint = state === undefined ? 'keyCodec' : 'its descriptor'
  throw new MoraineError('INVALID', `${what} in codec '${name}', which is none of this package: give ${hint}`)
}
