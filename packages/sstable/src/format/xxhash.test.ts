// Invariant: XXH3 and xxHash64 agree with the reference implementation at every length class.
import { expect, test } from 'vitest'
import { xxh3 } from './xxh3.ts'
import { xxh64 } from './xxh64.ts'

// Of the bytes (i * 7 + 1) mod 256, from the reference implementation.
test.each([
  [0, 0x2d06800538d394c2n, 0xef46db3751d8e999n],
  [1, 0xe12ef9d2eb86ceebn, 0x8a4127811b21e730n],
  [3, 0x5c83885a0fb5d516n, 0xb6e6c910c2fd373an],
  [4, 0x244f36de481e7522n, 0x22eda2cf6af4c124n],
  [8, 0x96cc97a6768fd7a9n, 0xc6f1803a5e0b3222n],
  [9, 0x4781d83b8e99d495n, 0x9e8adf2a0ccdb6dan],
  [16, 0x913bd4a8038027a7n, 0xafe8f989a0735a8en],
  [17, 0x2bf6f66973a6179dn, 0xb191cd44210ea488n],
  [32, 0x5d503b89ae6f56c6n, 0x5a0756fbe9ecd3d1n],
  [33, 0xb192963ede5ed5abn, 0xdc50cdc37bb9c183n],
  [64, 0x13886553e7dc3fa3n, 0x90083da9cdb9d795n],
  [65, 0x1c6516cc715d0a0en, 0x38824dea10bf4e5dn],
  [96, 0xdf49263b54999fcdn, 0x7df0a6c63db9338an],
  [97, 0x74f3d6ff540707b9n, 0xf085572b04a362c1n],
  [128, 0xc4399c7829d0628fn, 0x85cbe89fe5a0317dn],
  [129, 0x8433489056750b32n, 0x6c9a4008b493e757n],
  [240, 0x3c0bb96864e543a1n, 0xbbbbb56821328cacn],
  [241, 0xbff7215089202d8fn, 0x6c9698e4efdc2e1fn],
  [1024, 0xac8e32e4ea3ba062n, 0x84b6d3f9f48b9584n],
  [1025, 0xc856c953bbdbc807n, 0xdcb3bd6722591006n],
  [5000, 0x882162ebfafc2c3fn, 0xfbcb96984f5a99ecn],
])('%i bytes', (length, expectedXxh3, expectedXxh64) => {
  // The bytes stand inside a larger array.
  const bytes = new Uint8Array(length + 6).fill(0x55)
  for (let i = 0; i < length; i++) bytes[i + 3] = i * 7 + 1
  expect(xxh3(bytes, 3, length + 3)).toBe(expectedXxh3)
  expect(xxh64(bytes, 3, length + 3)).toBe(expectedXxh64)
})
