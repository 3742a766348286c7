import { corruption } from '../format/corruption.ts'
import { KEY_TRAILER_BYTES, SEQ_HIGH_LIMIT, SEQ_HIGH_UNIT } from '../format/internal-key.ts'
import { blockEntriesEnd } from './block-tail.ts'
import { DataBlock } from './data-block.ts'

/**
 * Prefix compression can make keys much larger than their block. A writer that stores a key whole every 16 entries
 * stays far below this; a forged block must not take all memory.
 */
const MAX_KEY_BYTES = 64 * 1024 * 1024
const MAX_KEY_EXPANSION = 64

// Columns grow here and are copied out at their exact size: a block says nowhere how many entries it has. Decoding is
// synchronous, so one set is enough.
let keys = new Uint8Array(64 * 1024)
let keyStarts = new Int32Array(1024)
let keyEnds = new Int32Array(1024)
let valueStarts = new Int32Array(1024)
let valueEnds = new Int32Array(1024)
let seqs = new Float64Array(1024)
let kinds = new Uint8Array(1024)
const savedTrailer = new Uint8Array(KEY_TRAILER_BYTES)

/** Scratch of unusual size is let go after use. */
const KEPT_KEY_BYTES = 4 * 1024 * 1024
const KEPT_ENTRIES = 64 * 1024

/**
 * Decodes the verified contents of a data block, which the result keeps: values stay where they are.
 * Entries that are not in internal order are CORRUPTION.
 */
export function decodeDataBlock(content: Uint8Array, name: string, what: string): DataBlock {
  try {
    return decode(content, name, what)
  } finally {
    if (keys.length > KEPT_KEY_BYTES) keys = new Uint8Array(64 * 1024)
    if (kinds.length > KEPT_ENTRIES) resizeColumns(1024, 0)
  }
}

function decode(content: Uint8Array, name: string, what: string): DataBlock {
  const entriesEnd = blockEntriesEnd(content, name, what)
  const maxKeyBytes = MAX_KEY_BYTES + MAX_KEY_EXPANSION * content.length
  let at = 0
  let count = 0
  let keyStart = 0
  let keyEnd = 0
  let lastSeq = 0
  while (at < entriesEnd) {
    let shared = content[at] as number
    let further = content[at + 1] as number
    let valueLength = content[at + 2] as number
    if ((shared | further | valueLength) < 0x80) {
      at += 3
    } else {
      at = readEntryHeader(content, at, entriesEnd)
      shared = header[0] as number
      further = header[1] as number
      valueLength = header[2] as number
    }
    const internalLength = shared + further
    const lastLength = keyEnd - keyStart
    if (
      at < 0 ||
      further + valueLength > entriesEnd - at ||
      internalLength < KEY_TRAILER_BYTES ||
      shared > (count === 0 ? 0 : lastLength + KEY_TRAILER_BYTES)
    ) {
      throw corruption(name, `entry ${count} of ${what} does not fit into it`)
    }
    const length = internalLength - KEY_TRAILER_BYTES

    // The new internal key is built behind the user key of the one before; its trailer is overwritten by the next.
    if (keyEnd + internalLength > keys.length) growKeys(keyEnd + internalLength, maxKeyBytes, name, what)
    const trailerOverlap = shared - lastLength
    if (trailerOverlap > 0) for (let i = 0; i < trailerOverlap; i++) savedTrailer[i] = keys[keyEnd + i] as number
    let to = keyEnd
    const sharedUserEnd = keyStart + (trailerOverlap > 0 ? lastLength : shared)
    if (sharedUserEnd - keyStart < 128) for (let i = keyStart; i < sharedUserEnd; i++) keys[to++] = keys[i] as number
    else {
      keys.copyWithin(to, keyStart, sharedUserEnd)
      to += sharedUserEnd - keyStart
    }
    for (let i = 0; i < trailerOverlap; i++) keys[to++] = savedTrailer[i] as number
    if (further < 64) for (let i = at, end = at + further; i < end; i++) keys[to++] = content[i] as number
    else keys.set(content.subarray(at, at + further), to)
    at += further

    const trailer = keyEnd + length
    const kind = keys[trailer] as number
    const low =
      (keys[trailer + 1] as number) | ((keys[trailer + 2] as number) << 8) | ((keys[trailer + 3] as number) << 16)
    const high =
      ((keys[trailer + 4] as number) |
        ((keys[trailer + 5] as number) << 8) |
        ((keys[trailer + 6] as number) << 16) |
        ((keys[trailer + 7] as number) << 24)) >>>
      0
    if (high >= SEQ_HIGH_LIMIT) throw corruption(name, `entry ${count} of ${what} has a sequence number above 2^53`)
    const seq = high * SEQ_HIGH_UNIT + low

    if (count > 0) {
      const limit = length < lastLength ? length : lastLength
      let same = shared < limit ? shared : limit
      while (same < limit && keys[keyStart + same] === keys[keyEnd + same]) same++
      let ordered: boolean
      if (same < limit) ordered = (keys[keyStart + same] as number) < (keys[keyEnd + same] as number)
      else ordered = length > lastLength || (length === lastLength && seq < lastSeq)
      if (!ordered) throw corruption(name, `entries ${count - 1} and ${count} of ${what} are not in order`)
      if (same !== limit || length !== lastLength) {
        keyStart = keyEnd
        keyEnd = keyStart + length
      } else {
        // Another version of the same user key: its bytes are shared, and the trailer moves behind them.
        for (let i = 0; i < KEY_TRAILER_BYTES; i++) keys[keyEnd + i] = keys[trailer + i] as number
      }
    } else {
      keyEnd = length
    }
    if (count === kinds.length) resizeColumns(count * 2, count)
    keyStarts[count] = keyStart
    keyEnds[count] = keyEnd
    valueStarts[count] = at
    at += valueLength
    valueEnds[count] = at
    seqs[count] = seq
    kinds[count] = kind
    lastSeq = seq
    count++
  }
  return new DataBlock({
    keyBytes: keys.slice(0, keyEnd),
    keyStarts: keyStarts.slice(0, count),
    keyEnds: keyEnds.slice(0, count),
    valueBytes: content,
    valueStarts: valueStarts.slice(0, count),
    valueEnds: valueEnds.slice(0, count),
    seqs: seqs.slice(0, count),
    kinds: kinds.slice(0, count),
  })
}

const header = new Float64Array(3)

/** Reads three varints into `header`; returns where they end, or -1 when they are cut off or too large. */
function readEntryHeader(content: Uint8Array, start: number, end: number): number {
  let at = start
  for (let field = 0; field < 3; field++) {
    let value = 0
    let scale = 1
    let byte = 0x80
    for (let i = 0; byte >= 0x80; i++) {
      if (at >= end || i >= 5) return -1
      byte = content[at++] as number
      value += (byte & 0x7f) * scale
      scale *= 128
    }
    header[field] = value
  }
  return at
}

function growKeys(needed: number, limit: number, name: string, what: string): void {
  if (needed > limit) throw corruption(name, `the keys of ${what} would take over ${limit} bytes`)
  const grown = new Uint8Array(Math.max(needed, keys.length * 2))
  grown.set(keys)
  keys = grown
}

function resizeColumns(capacity: number, kept: number): void {
  const resize = <T extends { set(source: T): void; subarray(start: number, end: number): T }>(from: T, to: T): T => {
    to.set(from.subarray(0, kept))
    return to
  }
  keyStarts = resize(keyStarts, new Int32Array(capacity))
  keyEnds = resize(keyEnds, new Int32Array(capacity))
  valueStarts = resize(valueStarts, new Int32Array(capacity))
  valueEnds = resize(valueEnds, new Int32Array(capacity))
  seqs = resize(seqs, new Float64Array(capacity))
  kinds = resize(kinds, new Uint8Array(capacity))
}
