/*
 * XXH3 (64 bits, seed 0, the standard secret), written from the published specification: the checksum that RocksDB
 * chooses by itself. Moraine never writes it. Inputs up to 240 bytes take the short paths, in BigInt; the long path,
 * which every real block takes, does its 64-bit lanes in 32-bit halves.
 */
const SECRET = new Uint8Array(
  Buffer.from(
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221' +
      'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8' +
      'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb' +
      '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
    'hex',
  ),
)
const MASK = 0xffff_ffff_ffff_ffffn
const P32_1 = 0x9e3779b1n
const P32_2 = 0x85ebca77n
const P32_3 = 0xc2b2ae3dn
const P64_1 = 0x9e3779b185ebca87n
const P64_2 = 0xc2b2ae3d27d4eb4fn
const P64_3 = 0x165667b19e3779f9n
const P64_4 = 0x85ebca77c2b2ae63n
const P64_5 = 0x27d4eb2f165667c5n
const MIX_1 = 0x165667919e3779f9n
const MIX_2 = 0x9fb21c651e98df25n

const STRIPE_BYTES = 64
const STRIPES_PER_BLOCK = 16
const SECRET_STEP = 8

/** XXH3 of `bytes[start, end)`, unsigned. */
export function xxh3(bytes: Uint8Array, start: number, end: number): bigint {
  const length = end - start
  if (length > 240) return longHash(bytes, start, end)
  if (length > 16) return mediumHash(bytes, start, length)
  if (length > 8) {
    const low = read64(bytes, start) ^ read64(SECRET, 24) ^ read64(SECRET, 32)
    const high = read64(bytes, end - 8) ^ read64(SECRET, 40) ^ read64(SECRET, 48)
    return avalanche(BigInt(length) + swap64(low) + high + foldedProduct(low, high))
  }
  if (length >= 4) {
    let hash = (read32(bytes, end - 4) + (read32(bytes, start) << 32n)) ^ read64(SECRET, 8) ^ read64(SECRET, 16)
    hash ^= rotate(hash, 49n) ^ rotate(hash, 24n)
    hash = (hash * MIX_2) & MASK
    hash ^= (hash >> 35n) + BigInt(length)
    hash = (hash * MIX_2) & MASK
    return hash ^ (hash >> 28n)
  }
  if (length === 0) return shortAvalanche(read64(SECRET, 56) ^ read64(SECRET, 64))
  const first = bytes[start] as number
  const middle = bytes[start + (length >> 1)] as number
  const last = bytes[end - 1] as number
  const combined = ((first << 16) | (middle << 24) | last | (length << 8)) >>> 0
  return shortAvalanche(BigInt(combined) ^ read32(SECRET, 0) ^ read32(SECRET, 4))
}

function mediumHash(bytes: Uint8Array, start: number, length: number): bigint {
  let hash = (BigInt(length) * P64_1) & MASK
  const mix = (at: number, secretAt: number): void => {
    hash += foldedProduct(read64(bytes, start + at) ^ read64(SECRET, secretAt), read64(bytes, start + at + 8) ^ read64(SECRET, secretAt + 8))
  }
  if (length <= 128) {
    for (let i = (length - 1) >> 5; i >= 0; i--) {
      mix(16 * i, 32 * i)
      mix(length - 16 * (i + 1), 32 * i + 16)
    }
    return avalanche(hash)
  }
  for (let i = 0; i < 8; i++) mix(16 * i, 16 * i)
  hash = avalanche(hash)
  for (let i = 8; i < length >> 4; i++) mix(16 * i, 16 * (i - 8) + 3)
  mix(length - 16, 136 - 17)
  return avalanche(hash)
}

function longHash(bytes: Uint8Array, start: number, end: number): bigint {
  const lanes = new Lanes()
  const length = end - start
  const stripes = Math.floor((length - 1) / STRIPE_BYTES)
  for (let i = 0; i < stripes; i++) {
    const inBlock = i % STRIPES_PER_BLOCK
    lanes.accumulate(bytes, start + i * STRIPE_BYTES, inBlock * SECRET_STEP)
    if (inBlock === STRIPES_PER_BLOCK - 1) lanes.scramble(SECRET.length - STRIPE_BYTES)
  }
  lanes.accumulate(bytes, end - STRIPE_BYTES, SECRET.length - STRIPE_BYTES - 7)
  let hash = (BigInt(length) * P64_1) & MASK
  for (let i = 0; i < 4; i++) {
    const secretAt = 11 + 16 * i
    hash += foldedProduct(lanes.value(2 * i) ^ read64(SECRET, secretAt), lanes.value(2 * i + 1) ^ read64(SECRET, secretAt + 8))
  }
  return avalanche(hash)
}

/** Eight 64-bit accumulators in 32-bit halves. */
class Lanes {
  readonly #low = new Uint32Array(8)
  readonly #high = new Uint32Array(8)

  constructor() {
    const initial = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    initial.forEach((value, i) => {
      this.#low[i] = Number(value & 0xffff_ffffn)
      this.#high[i] = Number(value >> 32n)
    })
  }

  value(i: number): bigint {
    return (BigInt(this.#high[i] as number) << 32n) | BigInt(this.#low[i] as number)
  }

  accumulate(bytes: Uint8Array, at: number, secretAt: number): void {
    for (let i = 0; i < 8; i++) {
      const dataLow = u32(bytes, at + 8 * i)
      const dataHigh = u32(bytes, at + 8 * i + 4)
      this.#add(i ^ 1, dataLow, dataHigh)
      const a = (dataLow ^ u32(SECRET, secretAt + 8 * i)) >>> 0
      const b = (dataHigh ^ u32(SECRET, secretAt + 8 * i + 4)) >>> 0
      this.#add(i, Math.imul(a, b) >>> 0, productHigh(a, b))
    }
  }

  scramble(secretAt: number): void {
    const prime = Number(P32_1)
    for (let i = 0; i < 8; i++) {
      let low = this.#low[i] as number
      let high = this.#high[i] as number
      // x ^ (x >> 47) ^ secret, then times a 32-bit prime.
      low = (low ^ (high >>> 15) ^ u32(SECRET, secretAt + 8 * i)) >>> 0
      high = (high ^ u32(SECRET, secretAt + 8 * i + 4)) >>> 0
      this.#low[i] = Math.imul(low, prime)
      this.#high[i] = productHigh(low, prime) + Math.imul(high, prime)
    }
  }

  #add(i: number, low: number, high: number): void {
    const sum = (this.#low[i] as number) + low
    this.#low[i] = sum
    this.#high[i] = (this.#high[i] as number) + high + (sum > 0xffff_ffff ? 1 : 0)
  }
}

/** The high 32 bits of the product of two unsigned 32-bit numbers. */
function productHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const cross = aHigh * bLow + ((aLow * bLow) >>> 16)
  const carry = (cross % 0x1_0000) + aLow * bHigh
  return aHigh * bHigh + Math.floor(cross / 0x1_0000) + Math.floor(carry / 0x1_0000)
}

function foldedProduct(a: bigint, b: bigint): bigint {
  const product = a * b
  return (product & MASK) ^ (product >> 64n)
}

function avalanche(value: bigint): bigint {
  let hash = value & MASK
  hash ^= hash >> 37n
  hash = (hash * MIX_1) & MASK
  return hash ^ (hash >> 32n)
}

function shortAvalanche(value: bigint): bigint {
  let hash = value ^ (value >> 33n)
  hash = (hash * P64_2) & MASK
  hash ^= hash >> 29n
  hash = (hash * P64_3) & MASK
  return hash ^ (hash >> 32n)
}

function rotate(value: bigint, bits: bigint): bigint {
  return ((value << bits) | (value >> (64n - bits))) & MASK
}

function swap64(value: bigint): bigint {
  let swapped = 0n
  for (let i = 0n; i < 64n; i += 8n) swapped = (swapped << 8n) | ((value >> i) & 0xffn)
  return swapped
}

function u32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}

function read32(bytes: Uint8Array, at: number): bigint {
  return BigInt(u32(bytes, at))
}

function read64(bytes: Uint8Array, at: number): bigint {
  return read32(bytes, at) | (read32(bytes, at + 4) << 32n)
}
