import { MoraineError } from '@moraine/base'
import type { KeyRange } from '../key/key-range.ts'
import { prefixOf, storedKey } from '../key/keyspace.ts'
import type { ManifestId } from '../layout/numbers.ts'
import type { KeyspaceRecord } from '../manifest/keyspace-record.ts'
import type { Manifest } from '../manifest/manifest.ts'
import { type Origin, originKey, type OriginPlace } from '../manifest/origin.ts'
import { restrictFile, type TableFile } from '../manifest/table-file.ts'

/** A source of a clone: one state of a database, seen from where the clone will be. */
export interface ProjectionSource {
  /** For messages. */
  readonly name: string
  readonly manifest: Manifest
  /** Where the source is. */
  readonly place: OriginPlace
  /** Where the source's own origins are. */
  readonly translate: (place: OriginPlace) => OriginPlace
  /** The keys to take, of every keyspace; undefined for all. */
  readonly range: KeyRange | undefined
}

/** A manifest of an origin that must be pinned, because tables are borrowed that only it is sure to keep. */
export interface PinNeed {
  readonly origin: Origin
  readonly manifestId: ManifestId
  /** The pin by which the source itself holds the origin; undefined when the origin is the source. */
  readonly heldBy: string | undefined
}

/** What a clone takes from one source. */
export interface Projection {
  readonly name: string
  readonly range: KeyRange | undefined
  /** Tables by level, every one of them borrowed; in the source's order. */
  readonly levels: readonly (readonly TableFile[])[]
  readonly needs: readonly PinNeed[]
  /** No sequence number of the source is above this. */
  readonly lastSeq: number
  readonly keyspaces: readonly KeyspaceRecord[]
  readonly ttlNowMs: number
}

/**
 * The part of a database that a clone takes, without copying anything: its tables as (origin, table, range). Tables that
 * the source borrowed itself keep their origin, so that no chain of clones is ever longer than one step, and every
 * origin is pinned directly; the same goes for the blob files that tables refer to. Pure.
 */
export function project({ name, manifest, place, translate, range }: ProjectionSource): Projection {
  const itself: Origin = { databaseId: manifest.databaseId, place }
  const borrowed = new Map<string, Origin>()
  for (const { origin } of manifest.origins) {
    borrowed.set(originKey(origin), { databaseId: origin.databaseId, place: translate(origin.place) })
  }
  const used = new Set<Origin>()
  const seenFromClone = (file: Pick<TableFile, 'id' | 'origin'>): Origin => {
    const origin = file.origin === undefined ? itself : borrowed.get(originKey(file.origin))
    if (origin === undefined) throw new MoraineError('CORRUPTION', `${name} borrows file ${file.id} and records no pin for it`)
    used.add(origin)
    return origin
  }
  const levels = manifest.version.levels.map((files) =>
    files.flatMap((file): TableFile[] => {
      const part = range === undefined ? file : restrictFile(file, rangeInKeyspace(range, file.smallestKey))
      if (part === undefined) return []
      const blobs = part.blobs?.map((link) => ({ ...link, origin: seenFromClone(link) }))
      return [{ ...part, origin: seenFromClone(part), ...(blobs !== undefined && { blobs }) }]
    }),
  )
  const needs: PinNeed[] = used.has(itself) ? [{ origin: itself, manifestId: manifest.id, heldBy: undefined }] : []
  for (const { origin, manifestId, pin } of manifest.origins) {
    const seen = borrowed.get(originKey(origin)) as Origin
    if (used.has(seen)) needs.push({ origin: seen, manifestId, heldBy: pin })
  }
  const { lastSeq, keyspaces, ttlNowMs } = manifest
  return { name, range, levels, needs, lastSeq, keyspaces, ttlNowMs }
}

/** The stored keys of a range of user keys in the keyspace of a stored key; a table holds keys of one keyspace only. */
export function rangeInKeyspace({ gte, lt }: KeyRange, stored: Uint8Array): KeyRange {
  const prefix = prefixOf(stored)
  return {
    gte: gte === undefined ? undefined : storedKey(prefix, gte),
    lt: lt === undefined ? undefined : storedKey(prefix, lt),
  }
}
