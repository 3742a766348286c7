// Invariant: a segment gives exactly the records that were put into it, or CORRUPTION that names the object; there is no
// byte of it that can be lost or changed in silence.
import { isMoraineError, utf8Encode } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import type { Epoch } from '../layout/numbers.ts'
import {
  decodeStoreWalHeader,
  encodeStoreWalFence,
  encodeStoreWalSegment,
  readStoreWalRecords,
  STORE_WAL_HEADER_BYTES,
} from './store-wal-segment.ts'
import { frameWalRecord, type WalRecord } from './wal-record.ts'

const DATABASE = 'd'.repeat(32)
const EPOCH = 3 as Epoch
const NAME = 'wal/000000000003-000000000007.wal'

function segment(): Uint8Array {
  const pieces = [
    ...frameWalRecord(41, 2, [utf8Encode('first '), utf8Encode('payload')]),
    ...frameWalRecord(43, 1, [utf8Encode('')]),
    ...frameWalRecord(44, 3, [utf8Encode('third payload')]),
  ]
  const header = { databaseId: DATABASE, epoch: EPOCH, n: 7, token: 'a'.repeat(32), settled: 4, firstSeq: 41, recordCount: 3 }
  return encodeStoreWalSegment(header, pieces)
}

function read(object: Uint8Array): WalRecord[] {
  const header = decodeStoreWalHeader(object, DATABASE, EPOCH, 7)
  return header.kind === 'segment' ? readStoreWalRecords(header, object) : []
}

/** `ok`, or the code of the error; which names the object. */
function outcome(object: Uint8Array): string {
  try {
    read(object)
    return 'ok'
  } catch (error) {
    if (!isMoraineError(error)) throw error
    expect(error.message).toContain(NAME)
    return error.code
  }
}

describe('a segment of the log in the store', () => {
  test('gives its records back', () => {
    expect(read(segment()).map(({ firstSeq, count, payload }) => [firstSeq, count, Buffer.from(payload).toString()])).toEqual([
      [41, 2, 'first payload'],
      [43, 1, ''],
      [44, 3, 'third payload'],
    ])
    expect(decodeStoreWalHeader(segment(), DATABASE, EPOCH, 7)).toMatchObject({ kind: 'segment', settled: 4, firstSeq: 41 })
  })

  test('a fence is a header and nothing else', () => {
    const fence = encodeStoreWalFence({ databaseId: DATABASE, epoch: EPOCH, n: 7, token: 'b'.repeat(32), byEpoch: 9 as Epoch })
    expect(fence).toHaveLength(STORE_WAL_HEADER_BYTES)
    expect(segment().length).toBeGreaterThan(STORE_WAL_HEADER_BYTES)
    expect(decodeStoreWalHeader(fence, DATABASE, EPOCH, 7)).toMatchObject({ kind: 'fence', byEpoch: 9, settled: 6 })
  })

  test('pitfall 11: cut off at any byte, it is damaged', () => {
    const whole = segment()
    for (let length = 0; length < whole.length; length++) {
      expect([length, outcome(whole.subarray(0, length))]).toEqual([length, 'CORRUPTION'])
    }
  })

  test('pitfall 11: zeros from any byte on are damage, never an end; but for the end mark, which nothing depends on', () => {
    const whole = segment()
    for (let at = 0; at < whole.length; at++) {
      const zeroed = whole.slice().fill(0, at)
      expect([at, outcome(zeroed)]).toEqual([at, at === whole.length - 1 ? 'ok' : 'CORRUPTION'])
    }
  })

  test('pitfall 16: a flipped bit in any byte is seen', () => {
    const whole = segment()
    for (let at = 0; at < whole.length; at++) {
      const flipped = whole.slice()
      flipped[at] = (flipped[at] as number) ^ (1 << at % 8)
      expect([at, outcome(flipped)]).toEqual([at, 'CORRUPTION'])
    }
  })

  test('bytes behind the last record are damage', () => {
    expect(outcome(new Uint8Array([...segment(), 0]))).toBe('CORRUPTION')
  })

  test('under another name, or of another database, it is refused', () => {
    expect(() => decodeStoreWalHeader(segment(), DATABASE, EPOCH, 8)).toThrow(/is number 7 of epoch 3/)
    expect(() => decodeStoreWalHeader(segment(), DATABASE, 4 as Epoch, 7)).toThrow(/is number 7 of epoch 3/)
    expect(() => decodeStoreWalHeader(segment(), 'e'.repeat(32), EPOCH, 7)).toThrow(/belongs to database d+/)
  })
})
