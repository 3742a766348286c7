import { MoraineError } from '@moraine/base'
import type { Codec } from '../codec/codec.ts'
import type { StateDescriptor } from './descriptor.ts'

const COMMON = ['kind', 'name', 'codec', 'version', 'upgrades', 'ttl', 'separateLargeValues']
const FIELDS: Readonly<Record<StateDescriptor['kind'], readonly string[]>> = {
  value: COMMON,
  list: COMMON,
  map: [...COMMON, 'keyCodec'],
  reducing: [...COMMON, 'reduce'],
  aggregating: [...COMMON, 'create', 'add', 'result', 'merge'],
}
const FUNCTIONS: readonly string[] = ['reduce', 'create', 'add', 'result']
const MOST_NAME_LENGTH = 200

/** INVALID for a descriptor that could not work. */
export function checkDescriptor(descriptor: StateDescriptor): void {
  const known = FIELDS[descriptor?.kind]
  if (known === undefined) throw invalid('a state is described by valueState, listState, mapState, reducingState or aggregatingState')
  const { name } = descriptor
  if (typeof name !== 'string' || name === '' || name.length > MOST_NAME_LENGTH || !name.isWellFormed()) {
    throw invalid(`the name of a state must be a text of 1 to ${MOST_NAME_LENGTH} characters`)
  }
  for (const [field, value] of Object.entries(descriptor)) {
    if (!known.includes(field)) throw invalid(`state '${name}' has no option '${field}'; it knows ${known.join(', ')}`)
    if (FUNCTIONS.includes(field) && typeof value !== 'function') throw invalid(`${field} of state '${name}' must be a function`)
  }
  for (const field of FUNCTIONS) {
    if (known.includes(field) && !Object.hasOwn(descriptor, field)) throw invalid(`state '${name}' needs a function ${field}`)
  }
  checkCodec(descriptor.codec, `codec of state '${name}'`)
  if (descriptor.kind === 'map') checkCodec(descriptor.keyCodec, `keyCodec of state '${name}'`)
  checkVersions(descriptor)
  if (!['undefined', 'boolean'].includes(typeof descriptor.separateLargeValues)) {
    throw invalid(`separateLargeValues of state '${name}' must be true or false; from which size on is the option largeValueBytes of openKeyedState`)
  }
  checkTtl(descriptor)
}

export function checkCodec(codec: Codec<unknown>, what: string): void {
  const fine =
    (typeof codec === 'object' || typeof codec === 'function') &&
    codec !== null &&
    typeof codec.name === 'string' &&
    codec.name !== '' &&
    isVersion(codec.version) &&
    typeof codec.encode === 'function' &&
    typeof codec.decode === 'function'
  if (!fine) throw invalid(`the ${what} must be a codec: { name, version (1 and above), encode, decode }`)
}

function checkVersions({ name, version, upgrades = [] }: StateDescriptor): void {
  if (version !== undefined && !isVersion(version)) throw invalid(`the version of state '${name}' must be a whole number from 1 on`)
  const sources = new Set<number>()
  for (const { from, to, upgrade, codec } of upgrades) {
    if (!isVersion(from) || !isVersion(to) || to <= from || typeof upgrade !== 'function') {
      throw invalid(`an upgrade of state '${name}' must be { from, to, upgrade } with from below to`)
    }
    if (sources.has(from)) throw invalid(`state '${name}' has two upgrades from version ${from}`)
    sources.add(from)
    if (codec !== undefined) checkCodec(codec, `codec of the upgrade from ${from} of state '${name}'`)
  }
}

function checkTtl({ name, ttl }: StateDescriptor): void {
  if (ttl === undefined) return
  const { ms, refresh = 'write', time = 'processing', ...rest } = ttl
  const fine =
    Number.isSafeInteger(ms) &&
    ms >= 1 &&
    (refresh === 'write' || refresh === 'read-write') &&
    (time === 'processing' || time === 'event') &&
    Object.keys(rest).length === 0
  if (!fine) {
    throw invalid(`the ttl of state '${name}' must be { ms (1 and above), refresh?: 'write' | 'read-write', time?: 'processing' | 'event' }`)
  }
}

function isVersion(version: unknown): boolean {
  return Number.isSafeInteger(version) && (version as number) >= 1 && (version as number) < 2 ** 31
}

function invalid(message: string): MoraineError {
  return new MoraineError('INVALID', message)
}
