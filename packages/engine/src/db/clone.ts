import { hostname } from 'node:os'
import { type CallLimits, type Clock, MoraineError, type Random, systemClock, systemRandom } from '@moraine/base'
import {
  locationInSameStore,
  type ObjectStore,
  parseLocation,
  PrefixedObjectStore,
  RetryingObjectStore,
  splitLocation,
} from '@moraine/object-store'
import type { Bytes } from '../batch/limits.ts'
import { cloneDatabases, type CloneReport, type CloneSource } from '../checkpoint/clone.ts'
import { isEmptyRange, type KeyRange } from '../key/key-range.ts'
import type { OriginPlace } from '../manifest/origin.ts'
import { OriginStores } from '../table/origin-stores.ts'
import { limitChecks, underLimits } from './call-options.ts'
import { type Location, resolveLocation } from './open.ts'
import { checkOptions, objectOption, type OptionCheck, type OptionChecks, textOption } from './option-checks.ts'
import { plainRange } from './scan-options.ts'

/** What of a source a clone takes. */
export interface CloneSourceOptions {
  /** Id or name of a checkpoint to clone; default: the newest state that the source has flushed. */
  readonly checkpoint?: string
  /** Only these keys, `gte` included and `lt` not; default all. */
  readonly range?: { readonly gte?: Bytes; readonly lt?: Bytes }
}

export interface CloneOptions extends CloneSourceOptions, CallLimits {
  /** Time source; a simulation passes its own. */
  readonly clock?: Clock
  /** Source of randomness; a simulation passes its own. */
  readonly random?: Random
}

/** One of several sources, with what to take of it. */
export interface CloneSourceSpec extends CloneSourceOptions {
  readonly location: Location
}

const anything: OptionCheck = () => undefined
const sourceChecks: OptionChecks<CloneSourceOptions> = { checkpoint: textOption, range: anything }
const checks: OptionChecks<CloneOptions> = {
  ...sourceChecks,
  ...limitChecks,
  clock: objectOption('nowMs'),
  random: objectOption('fill'),
}

/**
 * Makes a new database out of one (the whole of it, a checkpoint, or a range of keys) or out of several whose keys do not
 * overlap. Nothing is copied: the new one refers to the tables of its sources, which keep them until it has rewritten
 * them (see `db.detach`). It can be opened and written at once; neither side sees what the other writes from now on.
 *
 * The sources may be open elsewhere meanwhile: what they have flushed by now is what the clone gets. The target must be
 * an empty location. Repeating a clone that was cut off finishes it. INVALID for anything that cannot be cloned, with the
 * reason; CONFLICT when somebody else clones to the same target at the same time.
 */
export async function clone(
  source: Location | readonly (Location | CloneSourceSpec)[],
  target: Location,
  options: CloneOptions = {},
): Promise<CloneReport> {
  checkOptions('clone', options, checks)
  const specs = sourceSpecs(source, options)
  const goal = placed(target, 'the target')
  const run = (signal: AbortSignal | undefined): Promise<CloneReport> => cloneInto(target, goal, specs, options, signal)
  return await underLimits('clone', options, options.clock ?? systemClock, run)
}

async function cloneInto(
  target: Location,
  goal: Placed,
  specs: readonly CloneSourceSpec[],
  options: CloneOptions,
  signal: AbortSignal | undefined,
): Promise<CloneReport> {
  const { site, owned } = resolveLocation(target)
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const retry = { clock, random }
  const stores = new OriginStores(new RetryingObjectStore(site.root, retry), site.prefix, (url) => {
    const { store, prefix } = parseLocation(url)
    return new PrefixedObjectStore(new RetryingObjectStore(store, retry), prefix)
  })
  try {
    const sources = specs.map((spec) => cloneSource(spec, goal))
    return await cloneDatabases({
      sources,
      target: stores.own,
      storeAt: (place) => stores.at(place),
      probe: sources.every(({ place }) => place.kind === 'url'),
      owner: `process ${process.pid} on ${hostname()}`,
      clock,
      random,
      signal,
    })
  } finally {
    if (owned) await stores.close()
    else await stores.closeOpened()
  }
}

function sourceSpecs(source: Location | readonly (Location | CloneSourceSpec)[], options: CloneOptions): CloneSourceSpec[] {
  const { checkpoint, range } = options
  if (!Array.isArray(source)) {
    return [{ location: source as Location, ...(checkpoint !== undefined && { checkpoint }), ...(range !== undefined && { range }) }]
  }
  if (source.length === 0) throw new MoraineError('INVALID', 'clone takes at least one source')
  if (checkpoint !== undefined || range !== undefined) {
    throw new MoraineError(
      'INVALID',
      'with several sources every one has its own checkpoint and range: clone([{ location, checkpoint, range }, ...], target)',
    )
  }
  return source.map((item: Location | CloneSourceSpec) =>
    typeof item === 'object' && item !== null && 'location' in item ? item : { location: item },
  )
}

function cloneSource(spec: CloneSourceSpec, target: Placed): CloneSource {
  const { location, ...rest } = spec
  checkOptions('clone', rest, sourceChecks)
  const source = placed(location, 'a source')
  const range: KeyRange | undefined = rest.range === undefined ? undefined : plainRange('clone', rest.range)
  if (range !== undefined && isEmptyRange(range)) throw new MoraineError('INVALID', 'clone: no key can be in the range')
  const place = seenFrom(target, source)
  if (place.kind === 'sibling' && place.prefix === target.prefix) {
    throw new MoraineError('INVALID', `clone: ${source.name} is source and target at once; the target must be an empty location`)
  }
  return {
    name: source.name,
    place,
    translate: (other) => translated(target, source, other),
    checkpoint: rest.checkpoint,
    range: range?.gte === undefined && range?.lt === undefined ? undefined : range,
  }
}

/** A location, with what tells whether another one is in the same store. */
interface Placed {
  readonly name: string
  readonly prefix: string
  /** The object that was passed, or the key of a URL's store. */
  readonly store: ObjectStore | string
  readonly url: string | undefined
}

function placed(location: Location, what: string): Placed {
  if (typeof location === 'string') {
    const { storeKey, prefix } = splitLocation(location)
    return { name: location, prefix, store: storeKey, url: location }
  }
  if (typeof location !== 'object' || location === null || typeof location.store?.get !== 'function') {
    throw new MoraineError('INVALID', `${what} of clone must be a URL such as 's3://bucket/prefix', or { store, prefix }`)
  }
  const prefix = location.prefix ?? ''
  return { name: prefix === '' ? location.store.url : `${location.store.url}/${prefix}`, prefix, store: location.store, url: undefined }
}

/** Where a source is, in the terms that the target's manifests will use for ever. */
function seenFrom(target: Placed, source: Placed): OriginPlace {
  if (source.store === target.store) return { kind: 'sibling', prefix: source.prefix }
  if (source.url !== undefined) return { kind: 'url', url: locationInSameStore(source.url, source.prefix) }
  throw unreachablePlace(source.name)
}

/** Where an origin of the source is, in the same terms. */
function translated(target: Placed, source: Placed, place: OriginPlace): OriginPlace {
  if (place.kind === 'sibling') {
    if (source.store === target.store) return place
    if (source.url !== undefined) return { kind: 'url', url: locationInSameStore(source.url, place.prefix) }
    throw unreachablePlace(place.prefix)
  }
  const { storeKey, prefix } = splitLocation(place.url)
  return storeKey === target.store ? { kind: 'sibling', prefix } : place
}

function unreachablePlace(name: string): MoraineError {
  return new MoraineError(
    'INVALID',
    `clone: ${name} was given as { store, prefix }, and the target is in another store: the clone's manifest could not say where its tables are. Give the source as a URL, or put the target into the same store object`,
  )
}
