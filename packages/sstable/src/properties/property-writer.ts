import { ByteWriter, compareBytes, utf8Encode } from '@moraine/base'
import { BlockBuilder } from '../block/block-builder.ts'

/** Collects properties and builds their block, which wants its names in bytewise order. */
export class PropertyWriter {
  readonly #values = new Map<string, Uint8Array>()

  number(property: string, value: number): this {
    return this.bytes(property, new ByteWriter(8).varint(value).finish())
  }

  fixed32(property: string, value: number): this {
    return this.bytes(property, new ByteWriter(4).u32(value).finish())
  }

  fixed64(property: string, value: number): this {
    return this.bytes(property, new ByteWriter(8).u64(value).finish())
  }

  text(property: string, value: string): this {
    return this.bytes(property, utf8Encode(value))
  }

  bytes(property: string, value: Uint8Array): this {
    this.#values.set(property, value)
    return this
  }

  /** The properties block with its trailer. */
  finish(): Uint8Array {
    const entries = [...this.#values].map(([property, value]) => ({ key: utf8Encode(property), value }))
    entries.sort((a, b) => compareBytes(a.key, b.key))
    const builder = new BlockBuilder(1)
    for (const { key, value } of entries) builder.add(key, value)
    return builder.finish()
  }
}
