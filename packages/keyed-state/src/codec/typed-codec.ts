import type { Codec } from './codec.ts'

/** A codec that serves for many types: used as it is, or called to say which type is meant: `json<Order>()`. */
export interface TypedCodec<Default> extends Codec<Default> {
  <T>(): Codec<T>
}

export function typedCodec<Default>(codec: Codec<Default>): TypedCodec<Default> {
  const typed = <T>(): Codec<T> => codec as unknown as Codec<T>
  // A function has a name and a length already, which only a definition replaces.
  return Object.defineProperties(typed, Object.getOwnPropertyDescriptors(codec)) as TypedCodec<Default>
}
