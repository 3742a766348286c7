import { type Random, randomHex } from '@moraine/base'
import type { ManifestId } from '../layout/numbers.ts'
import { PIN_PREFIX } from '../layout/object-names.ts'

/**
 * A pin keeps manifests, and the files they name, from being collected. Everything a collector must know stands in the
 * name, so that one LIST is enough:
 *
 *     pin/<manifest>-<unique>.<scope>.<holder>
 *
 *     scope   `from`: this manifest and every later one     `only`: exactly this one
 *     holder  `lease-<milliseconds>`: a reader; the pin lapses that long after its last write, by the store's clock
 *             `clone`: a database that refers to the files; never lapses
 *             `checkpoint`: a checkpoint taken from outside a running writer; never lapses
 */
export interface PinName {
  readonly manifestId: ManifestId
  readonly unique: string
  readonly scope: 'from' | 'only'
  readonly holder: { readonly kind: 'lease'; readonly leaseMs: number } | { readonly kind: 'clone' } | { readonly kind: 'checkpoint' }
}

export function newPinUnique(random: Random): string {
  return randomHex(random, 12)
}

export function pinName(pin: PinName): string {
  const holder = pin.holder.kind === 'lease' ? `lease-${pin.holder.leaseMs}` : pin.holder.kind
  return `${PIN_PREFIX}${String(pin.manifestId).padStart(15, '0')}-${pin.unique}.${pin.scope}.${holder}`
}

/** Undefined for a name that is not a pin's; a collector that meets one must stop rather than guess. */
export function parsePinName(name: string): PinName | undefined {
  const match = /^pin\/(\d{15})-([0-9a-f]{24})\.(from|only)\.(?:lease-(\d{1,15})|(clone|checkpoint))$/.exec(name)
  if (match === null) return undefined
  const [, manifest, unique = '', scope, lease, kind] = match
  return {
    manifestId: Number(manifest) as ManifestId,
    unique,
    scope: scope as PinName['scope'],
    holder: lease !== undefined ? { kind: 'lease', leaseMs: Number(lease) } : { kind: kind as 'clone' | 'checkpoint' },
  }
}
