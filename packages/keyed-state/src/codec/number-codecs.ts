import { type Codec, wrongType } from './codec.ts'

// All of them keep order: as keys, numbers sort by value. Signed integers have their sign bit flipped; floats have it set
// when positive, and all bits flipped when negative; both are big-endian.

const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)
const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/** Whole numbers from -2^31 to 2^31 - 1, in four bytes. */
export const int32: Codec<number> = {
  name: 'int32',
  version: 1,
  scalar: true,
  encode(value) {
    checkInt32(value)
    const biased = value ^ 0x8000_0000
    return Uint8Array.of(biased >>> 24, biased >>> 16, biased >>> 8, biased)
  },
  decode: (bytes) => (viewOf(bytes, 4).getUint32(0) ^ 0x8000_0000) | 0,
  check: checkInt32,
  toJson: (value) => value,
  fromJson(json) {
    checkInt32(json)
    return json
  },
}

/** Bigints from -2^63 to 2^63 - 1, in eight bytes. */
export const int64: Codec<bigint> = {
  name: 'int64',
  version: 1,
  scalar: true,
  encode(value) {
    checkInt64(value)
    scratch.setBigInt64(0, value)
    return withSignFlipped()
  },
  decode(bytes) {
    const view = viewOf(bytes, 8)
    scratch.setUint32(0, view.getUint32(0) ^ 0x8000_0000)
    scratch.setUint32(4, view.getUint32(4))
    return scratch.getBigInt64(0)
  },
  check: checkInt64,
  toJson: (value) => String(value),
  fromJson(json) {
    if (typeof json !== 'string' && !Number.isSafeInteger(json)) throw wrongType('a whole number as text', json)
    const value = BigInt(json as string | number)
    checkInt64(value)
    return value
  },
}

/** Any number, NaN and the infinities too, in eight bytes. Minus zero counts as zero. */
export const float64: Codec<number> = {
  name: 'float64',
  version: 1,
  scalar: true,
  encode(value) {
    checkNumber(value)
    return encodeFloat64(value)
  },
  decode: (bytes) => decodeFloat64(bytes, 0),
  check: checkNumber,
  toJson: (value) => (Number.isFinite(value) ? value : String(value)),
  fromJson(json) {
    if (json === 'NaN' || json === 'Infinity' || json === '-Infinity') return Number(json)
    checkNumber(json)
    return json
  },
}

/** Bigints of any size. As keys they sort by value. */
export const bigint: Codec<bigint> = {
  name: 'bigint',
  version: 1,
  scalar: true,
  encode(value) {
    checkBigint(value)
    return encodeBigint(value)
  },
  decode: (bytes) => decodeBigint(bytes),
  check: checkBigint,
  toJson: (value) => String(value),
  fromJson(json) {
    if (typeof json !== 'string' && !Number.isSafeInteger(json)) throw wrongType('a whole number as text', json)
    return BigInt(json as string | number)
  },
}

export function encodeFloat64(value: number): Uint8Array {
  scratch.setFloat64(0, value === 0 ? 0 : value)
  const high = scratch.getUint32(0)
  if (high < 0x8000_0000) return withSignFlipped()
  scratch.setUint32(0, ~high)
  scratch.setUint32(4, ~scratch.getUint32(4))
  return copyOfScratch()
}

export function decodeFloat64(bytes: Uint8Array, at: number): number {
  const view = viewOf(bytes, at + 8)
  const high = view.getUint32(at)
  const low = view.getUint32(at + 4)
  const positive = high >= 0x8000_0000
  scratch.setUint32(0, positive ? high ^ 0x8000_0000 : ~high)
  scratch.setUint32(4, positive ? low : ~low)
  return scratch.getFloat64(0)
}

/**
 * One byte 0x80 for zero and above, the number of bytes that follow added for positive numbers; 0x7f less that number for
 * negative ones, whose magnitude is inverted. A magnitude of 127 bytes and more has its length in four bytes.
 */
function encodeBigint(value: bigint): Uint8Array {
  if (value === 0n) return Uint8Array.of(0x80)
  const negative = value < 0n
  let digits = (negative ? -value : value).toString(16)
  if (digits.length % 2 === 1) digits = `0${digits}`
  const magnitude = new Uint8Array(Buffer.from(digits, 'hex'))
  const { length } = magnitude
  const head = length < LONG ? [length] : [LONG, length >>> 24, length >>> 16, length >>> 8, length]
  const encoded = new Uint8Array(head.length + length)
  encoded.set(head)
  encoded.set(magnitude, head.length)
  encoded[0] = 0x80 + (head[0] as number)
  if (negative) {
    for (let i = 0; i < encoded.length; i++) encoded[i] = ~(encoded[i] as number)
  }
  return encoded
}

const LONG = 0x7f

function decodeBigint(stored: Uint8Array): bigint {
  const first = stored[0]
  if (first === undefined) throw new RangeError('a bigint has at least one byte')
  if (first === 0x80) return 0n
  const negative = first < 0x80
  const plain = negative ? stored.map((byte) => ~byte) : stored
  const head = (plain[0] as number) - 0x80 < LONG ? 1 : 5
  const magnitude = BigInt(`0x${Buffer.from(plain.subarray(head)).toString('hex')}`)
  return negative ? -magnitude : magnitude
}

function withSignFlipped(): Uint8Array {
  scratch.setUint8(0, scratch.getUint8(0) ^ 0x80)
  return copyOfScratch()
}

/** The bytes one by one: so short an array is made without a native call. */
function copyOfScratch(): Uint8Array {
  const copy = new Uint8Array(8)
  for (let i = 0; i < 8; i++) copy[i] = scratchBytes[i] as number
  return copy
}

function viewOf(bytes: Uint8Array, size: number): DataView {
  if (bytes.length < size) throw new RangeError(`${size} bytes wanted, ${bytes.length} found`)
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

function checkInt32(value: unknown): asserts value is number {
  if (typeof value !== 'number' || (value | 0) !== value) throw wrongType('a whole number of 32 bits', value)
}

function checkInt64(value: unknown): asserts value is bigint {
  if (typeof value !== 'bigint') throw wrongType('a bigint', value)
  if (value > MAX_INT64 || value < MIN_INT64) throw new RangeError(`${value}n does not fit 64 bits; use the codec bigint`)
}

function checkNumber(value: unknown): asserts value is number {
  if (typeof value !== 'number') throw wrongType('a number', value)
}

function checkBigint(value: unknown): asserts value is bigint {
  if (typeof value !== 'bigint') throw wrongType('a bigint', value)
}
