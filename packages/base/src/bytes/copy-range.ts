/** Up to this size V8 keeps a typed array's bytes inside the object itself, which no pool can beat. */
const ON_HEAP_BYTES = 64
const POOLED_MOST_BYTES = 1024
const SLAB_BYTES = 8 * 1024

let slab = new Uint8Array(SLAB_BYTES)
let used = 0

/**
 * A copy of `source[start, end)` that nothing else writes to. Arrays of 65 to 1024 bytes are cut out of slabs of 8 KiB,
 * as Node does for its Buffers: an ArrayBuffer of its own costs five to ten times the copy. So the `buffer` of the
 * result may be larger than the result; go by `byteOffset` and `length`.
 */
export function copyRange(source: Uint8Array, start: number, end: number): Uint8Array {
  const length = end - start
  if (length <= ON_HEAP_BYTES || length > POOLED_MOST_BYTES) return source.slice(start, end)
  if (used + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    used = 0
  }
  const offset = used
  // The next one starts on a multiple of eight, so that a caller may lay wider typed arrays over it.
  used = (offset + length + 7) & ~7
  slab.set(source.subarray(start, end), offset)
  return new Uint8Array(slab.buffer, offset, length)
}
