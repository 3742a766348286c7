import { corruption } from '../format/corruption.ts'
import { KEY_TRAILER_BYTES } from '../format/internal-key.ts'
import { blockEntriesEnd } from './block-tail.ts'
import { DataBlock, ROW_INTEGERS, writeRow } from './data-block.ts'

/**
 * Prefix compression can make keys much larger than their block. A writer that stores a key whole every 16 entries
 * stays far below this; a forged block must not take all memory.
 */
const MAX_KEY_BYTES = 64 * 1024 * 1024
const MAX_KEY_EXPANSION = 64

/** The upper 24 bits of the 56-bit sequence number; ours have 53 bits. */
const SEQ_HIGH_LIMIT = 0x20_0000

// Keys and rows grow here and are copied out at their exact size: a block says nowhere how many entries it has.
// Decoding is synchronous, so one set is enough.
const INITIAL_KEY_BYTES = 64 * 1024
const INITIAL_ROWS = 1024
let keys = new Uint8Array(INITIAL_KEY_BYTES)
let rows = new Int32Array(INITIAL_ROWS * ROW_INTEGERS)
const savedTrailer = new Uint8Array(KEY_TRAILER_BYTES)

/** Scratch of unusual size is let go after use. */
const KEPT_KEY_BYTES = 4 * 1024 * 1024
const KEPT_ROW_INTEGERS = 64 * 1024 * ROW_INTEGERS

/** Longer runs of bytes are copied by native code. */
const NATIVE_COPY_FROM_BYTES = 96

/**
 * Decodes the verified contents of a data block, which the result keeps: values stay where they are.
 * Entries that are not in internal order are CORRUPTION.
 */
export function decodeDataBlock(content: Uint8Array, name: string, what: string): DataBlock {
  try {
    return decode(content, name, what)
  } finally {
    if (keys.length > KEPT_KEY_BYTES) keys = new Uint8Array(INITIAL_KEY_BYTES)
    if (rows.length > KEPT_ROW_INTEGERS) rows = new Int32Array(INITIAL_ROWS * ROW_INTEGERS)
  }
}

function decode(content: Uint8Array, name: string, what: string): DataBlock {
  const entriesEnd = blockEntriesEnd(content, name, what)
  const maxKeyBytes = MAX_KEY_BYTES + MAX_KEY_EXPANSION * content.length
  // Locals, because every access to a variable of the module reloads it.
  let target: Uint8Array = keys
  let table: Int32Array = rows
  let at = 0
  let row = 0
  let keyStart = 0
  let keyEnd = 0
  let lastSeqHigh = 0
  let lastSeqLow = 0
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
    const lastLength = keyEnd - keyStart
    const internalLength = shared + further
    const sharable = row === 0 ? 0 : lastLength + KEY_TRAILER_BYTES
    if (at < 0 || further + valueLength > entriesEnd - at || internalLength < KEY_TRAILER_BYTES || shared > sharable) {
      throw corruption(name, `entry ${row / ROW_INTEGERS} of ${what} does not fit into it`)
    }

    // The new internal key is built behind the user key of the one before, over its trailer.
    if (keyEnd + internalLength > target.length) target = growKeys(keyEnd + internalLength, maxKeyBytes, name, what)
    let to = keyEnd
    if (shared <= lastLength) {
      to = copyBytes(target, keyStart, shared, target, to)
    } else {
      const fromTrailer = shared - lastLength
      for (let i = 0; i < fromTrailer; i++) savedTrailer[i] = target[keyEnd + i] as number
      to = copyBytes(target, keyStart, lastLength, target, to)
      for (let i = 0; i < fromTrailer; i++) target[to++] = savedTrailer[i] as number
    }
    copyBytes(content, at, further, target, to)
    at += further

    const length = internalLength - KEY_TRAILER_BYTES
    const trailer = keyEnd + length
    const kind = target[trailer] as number
    const seqLow =
      ((target[trailer + 1] as number) |
        ((target[trailer + 2] as number) << 8) |
        ((target[trailer + 3] as number) << 16) |
        ((target[trailer + 4] as number) << 24)) >>>
      0
    const seqHigh = (target[trailer + 5] as number) | ((target[trailer + 6] as number) << 8) | ((target[trailer + 7] as number) << 16)
    if (seqHigh >= SEQ_HIGH_LIMIT) {
      throw corruption(name, `entry ${row / ROW_INTEGERS} of ${what} has a sequence number above 2^53`)
    }

    if (row === 0) {
      keyEnd = length
    } else {
      const limit = length < lastLength ? length : lastLength
      let same = shared < limit ? shared : limit
      while (same < limit && target[keyStart + same] === target[keyEnd + same]) same++
      const repeated = same === length && same === lastLength
      let ordered: boolean
      if (repeated) ordered = seqHigh < lastSeqHigh || (seqHigh === lastSeqHigh && seqLow < lastSeqLow)
      else if (same === limit) ordered = length > lastLength
      else ordered = (target[keyStart + same] as number) < (target[keyEnd + same] as number)
      if (!ordered) {
        const entry = row / ROW_INTEGERS
        throw corruption(name, `entries ${entry - 1} and ${entry} of ${what} are not in order`)
      }
      if (repeated) {
        // Another version of the same user key: its bytes are shared, and the trailer moves behind them.
        for (let i = 0; i < KEY_TRAILER_BYTES; i++) target[keyEnd + i] = target[trailer + i] as number
      } else {
        keyStart = keyEnd
        keyEnd = trailer
      }
    }
    if (row === table.length) table = growRows()
    writeRow(table, row, keyStart, keyEnd, at, at + valueLength, seqLow, seqHigh, kind)
    at += valueLength
    row += ROW_INTEGERS
    lastSeqHigh = seqHigh
    lastSeqLow = seqLow
  }
  return new DataBlock(target.slice(0, keyEnd), content, table.slice(0, row))
}

/** Copies `length` bytes to `target` at `to`; returns where they end. */
function copyBytes(from: Uint8Array, start: number, length: number, target: Uint8Array, to: number): number {
  if (length < NATIVE_COPY_FROM_BYTES) {
    for (let i = 0; i < length; i++) target[to + i] = from[start + i] as number
  } else {
    target.set(from.subarray(start, start + length), to)
  }
  return to + length
}

const header = new Float64Array(3)

/** Reads three varints into `header`; returns where they end, or -1 when they are cut off or too long. */
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

function growKeys(needed: number, limit: number, name: string, what: string): Uint8Array {
  if (needed > limit) throw corruption(name, `the keys of ${what} would take over ${limit} bytes`)
  const grown = new Uint8Array(Math.max(needed, keys.length * 2))
  grown.set(keys)
  keys = grown
  return grown
}

function growRows(): Int32Array {
  const grown = new Int32Array(rows.length * 2)
  grown.set(rows)
  rows = grown
  return grown
}
