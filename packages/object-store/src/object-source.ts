import { MoraineError } from '@moraine/base'
import type { ObjectSource } from './object-store.ts'

/** The pieces of a body, in order. Throws INVALID when it is anything but bytes. */
export function sourcePieces(body: ObjectSource): readonly Uint8Array[] {
  const pieces = body instanceof Uint8Array ? [body] : body
  if (!Array.isArray(pieces) || !pieces.every((piece) => piece instanceof Uint8Array)) {
    throw new MoraineError('INVALID', 'the body of an object must be a Uint8Array or an array of them')
  }
  return pieces
}

/** Size of a body in bytes. */
export function sourceSizeBytes(body: ObjectSource): number {
  if (body instanceof Uint8Array) return body.length
  let size = 0
  for (const piece of body) size += piece.length
  return size
}
