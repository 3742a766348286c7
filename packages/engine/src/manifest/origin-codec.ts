import type { ByteReader, ByteWriter } from '@moraine/base'
import { type Origin, originKey } from './origin.ts'

/** Whether it is a sibling stands in a flag of whatever the origin is part of. */
export function encodeOrigin(writer: ByteWriter, { databaseId, place }: Origin): void {
  writer.text(databaseId).text(place.kind === 'sibling' ? place.prefix : place.url)
}

export function decodeOrigin(reader: ByteReader, sibling: boolean): Origin {
  const databaseId = reader.text()
  const where = reader.text()
  return { databaseId, place: sibling ? { kind: 'sibling', prefix: where } : { kind: 'url', url: where } }
}

/** The one object that stands for an origin in everything that is decoded together. */
export function shared(origins: Map<string, Origin>, origin: Origin): Origin {
  const key = originKey(origin)
  const known = origins.get(key)
  if (known === undefined) origins.set(key, origin)
  return known ?? origin
}
