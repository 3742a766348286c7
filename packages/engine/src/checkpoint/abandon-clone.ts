import { type Clock, isMoraineError, type Random } from '@moraine/base'
import { locationInSameStore, type ObjectStore } from '@moraine/object-store'
import type { Identity } from '../manifest/identity.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import type { OriginPlace } from '../manifest/origin.ts'
import { askedPlaces } from './clone.ts'
import { releaseClonePins } from './clone-pins.ts'

export interface AbandonOptions {
  readonly storeAt: (place: OriginPlace) => ObjectStore
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

/**
 * Deletes the pins of a clone that was begun and will never be made. There is no manifest to say where they are: they are
 * looked for in the sources that the identity names, and in what those borrow from.
 */
export async function abandonClone({ databaseId, clone }: Identity, options: AbandonOptions): Promise<void> {
  if (clone === undefined) return
  const places = askedPlaces(clone)
  for (const source of places.slice()) {
    const store = options.storeAt(source)
    const manifest = await unlessGone(() => new ManifestStore(store, options).readNewest(options.signal))
    for (const { origin } of manifest?.origins ?? []) places.push(seenThrough(source, origin.place))
  }
  await releasePinsAt(databaseId, places, options)
}

/** Deletes every pin that a clone holds at these places. A place that is no database any more holds none. */
export async function releasePinsAt(databaseId: string, places: readonly OriginPlace[], options: AbandonOptions): Promise<void> {
  for (const store of new Set(places.map(options.storeAt))) {
    await unlessGone(() => releaseClonePins(store, databaseId, NONE, options.signal))
  }
}

function seenThrough(source: OriginPlace, place: OriginPlace): OriginPlace {
  if (source.kind === 'sibling' || place.kind === 'url') return place
  return { kind: 'url', url: locationInSameStore(source.url, place.prefix) }
}

async function unlessGone<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work()
  } catch (error) {
    if (isMoraineError(error, 'INVALID') || isMoraineError(error, 'CORRUPTION')) return undefined
    throw error
  }
}

const NONE: ReadonlySet<string> = new Set()
