import { type Clock, type Random, randomHex } from '@moraine/base'
import type { ObjectStore } from '@moraine/object-store'
import type { ManifestId } from '../layout/numbers.ts'
import type { OriginPin, OriginPlace } from '../manifest/origin.ts'
import { createPin, listPins, type Pin, releasePin } from './pins.ts'
import type { PinNeed } from './projection.ts'
import { needKey } from './union.ts'

export interface ClonePinsOptions {
  readonly storeAt: (place: OriginPlace) => ObjectStore
  readonly owner: string
  readonly clock: Clock
  readonly random: Random
  readonly signal?: AbortSignal | undefined
}

const OWNER_DIGITS = 16
const RANDOM_BYTES = 4

/** The beginning of the unique part of every pin that a clone holds anywhere: whoever finds one knows whose it is. */
export function clonePinMark(databaseId: string): string {
  return databaseId.slice(0, OWNER_DIGITS)
}

interface HeldPin {
  readonly place: OriginPlace
  readonly pin: Pin
}

/** The pins of one attempt to make a clone. */
export class ClonePins {
  readonly #databaseId: string
  readonly #options: ClonePinsOptions
  /** Exact pins by need. */
  readonly #exact = new Map<string, HeldPin>()
  readonly #guards: HeldPin[] = []

  constructor(databaseId: string, options: ClonePinsOptions) {
    this.#databaseId = databaseId
    this.#options = options
  }

  /** Creates an exact pin for every need that has none yet. */
  async hold(needs: readonly PinNeed[]): Promise<void> {
    const missing = needs.filter((need) => !this.#exact.has(needKey(need)))
    await settle(
      missing.map(async (need) => {
        const held = await this.#create(need.origin.place, need.manifestId, 'only')
        this.#exact.set(needKey(need), held)
      }),
    )
  }

  /** Pins sources open-ended, from a manifest that was their newest. */
  async guard(sources: readonly { place: OriginPlace; from: ManifestId | undefined }[]): Promise<void> {
    await settle(
      sources.map(async ({ place, from }) => {
        if (from !== undefined) this.#guards.push(await this.#create(place, from, 'from'))
      }),
    )
  }

  /** Whether every source still holds what it borrows from: our pins were there before its own went. */
  async stillHeld(needs: readonly PinNeed[]): Promise<boolean> {
    const { storeAt, signal } = this.#options
    const found = await Promise.all(
      needs.map(async ({ origin, heldBy }) => {
        return heldBy === undefined || (await storeAt(origin.place).head(heldBy, { signal })) !== undefined
      }),
    )
    return found.every((held) => held)
  }

  recordOf(needs: readonly PinNeed[]): OriginPin[] {
    return needs.map((need) => {
      const { origin, manifestId } = need
      return { origin, manifestId, pin: (this.#exact.get(needKey(need)) as HeldPin).pin.name }
    })
  }

  /** Deletes the pins of this attempt but the recorded ones. */
  async releaseBut(origins: readonly OriginPin[]): Promise<void> {
    const recorded = new Set(origins.map(({ pin }) => pin))
    const held = [...this.#guards, ...this.#exact.values()].filter(({ pin }) => !recorded.has(pin.name))
    await settle(held.map(({ place, pin }) => releasePin(this.#options.storeAt(place), pin, this.#options.signal)))
  }

  /** Gives everything up, as far as the stores answer; what is left is swept when the clone is made or destroyed. */
  async releaseAll(): Promise<void> {
    const held = [...this.#guards, ...this.#exact.values()]
    await Promise.allSettled(held.map(({ place, pin }) => releasePin(this.#options.storeAt(place), pin)))
  }

  /** Deletes every pin of this clone at these places that `origins` does not record. */
  async sweep(places: readonly OriginPlace[], origins: readonly OriginPin[]): Promise<void> {
    const { storeAt, signal } = this.#options
    const stores = new Set(places.map(storeAt))
    const recorded = new Set(origins.map(({ pin }) => pin))
    await settle([...stores].map((store) => releaseClonePins(store, this.#databaseId, recorded, signal)))
  }

  async #create(place: OriginPlace, manifestId: ManifestId, scope: Pin['scope']): Promise<HeldPin> {
    const { storeAt, owner, clock, random, signal } = this.#options
    const request = {
      manifestId,
      scope,
      holder: { kind: 'clone' },
      note: { holder: `database ${this.#databaseId}, made by ${owner}`, createdAtMs: clock.nowMs() },
      unique: clonePinMark(this.#databaseId) + randomHex(random, RANDOM_BYTES),
    } as const
    return { place, pin: await createPin(storeAt(place), request, random, signal) }
  }
}

/** Deletes the pins that clone `databaseId` holds in a database, but those of these names. One LIST, one DELETE a pin. */
export async function releaseClonePins(
  store: ObjectStore,
  databaseId: string,
  keep: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<void> {
  const mark = clonePinMark(databaseId)
  const { pins } = await listPins(store, signal)
  for (const pin of pins) {
    if (pin.holder.kind !== 'clone' || !pin.unique.startsWith(mark) || keep.has(pin.name)) continue
    await releasePin(store, pin, signal)
  }
}

/** Waits for all, so that nothing is under way when the first failure is reported. */
async function settle(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work)
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
