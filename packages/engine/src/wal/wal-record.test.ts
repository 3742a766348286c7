/**
 * Invariant: reading a log gives a prefix of the whole records that were written, byte for byte. A log that was cut
 * short, or whose end reads as zeros, ends without complaint; a changed byte is damage and never a shorter log.
 */
import { concatBytes, SeededRandom } from '@moraine/base'
import { describe, expect, test } from 'vitest'
import { frameWalRecord, readWalRecord, type WalRecord } from './wal-record.ts'

type Outcome = { records: WalRecord[]; ended: 'end' | 'torn' | 'damaged' }

function readAll(log: Uint8Array): Outcome {
  const records: WalRecord[] = []
  for (let at = 0; ; ) {
    const step = readWalRecord(log, at)
    if (step.kind !== 'record') return { records, ended: step.kind }
    records.push(step.record)
    at = step.end
  }
}

function randomBytes(size: number): Uint8Array {
  const random = new SeededRandom(size)
  return Uint8Array.from({ length: size }, () => random.below(256))
}

/** Payloads that are hard on a reader: ordinary, all zeros, ending in zeros, zeros over a sector, one byte. */
function sampleRecords(): WalRecord[] {
  const zeroTail = randomBytes(40)
  zeroTail.fill(0, 11)
  const payloads = [randomBytes(33), new Uint8Array(25), zeroTail, new Uint8Array(600), Uint8Array.of(0)]
  let firstSeq = 5
  return payloads.map((payload, i) => {
    const record = { firstSeq, count: i + 1, payload }
    firstSeq += i + 1
    return record
  })
}

function encode(records: readonly WalRecord[]): Uint8Array {
  return concatBytes(records.flatMap(({ firstSeq, count, payload }) => frameWalRecord(firstSeq, count, [payload])))
}

function expectPrefix(found: readonly WalRecord[], written: readonly WalRecord[]): void {
  expect(found.length).toBeLessThanOrEqual(written.length)
  for (const [i, record] of found.entries()) {
    const original = written[i] as WalRecord
    expect([record.firstSeq, record.count]).toEqual([original.firstSeq, original.count])
    expect(Buffer.compare(record.payload, original.payload)).toBe(0)
  }
}

describe('wal record', () => {
  const written = sampleRecords()
  const log = encode(written)

  test('round trip, with the payload in one piece or many', () => {
    const { records, ended } = readAll(log)
    expect(ended).toBe('end')
    expect(records).toHaveLength(written.length)
    expectPrefix(records, written)
    const payload = randomBytes(1000)
    const pieces = [payload.subarray(0, 1), payload.subarray(1, 1), payload.subarray(1, 700), payload.subarray(700)]
    expect(concatBytes(frameWalRecord(1, 2, pieces))).toEqual(concatBytes(frameWalRecord(1, 2, [payload])))
  })

  test('large sequences survive', () => {
    const seq = Number.MAX_SAFE_INTEGER - 1
    const { records } = readAll(concatBytes(frameWalRecord(seq, 2, [Uint8Array.of(1)])))
    expect(records[0]).toMatchObject({ firstSeq: seq, count: 2 })
  })

  test('pitfall 11: cut at every byte, a log is a prefix of whole records', () => {
    for (let size = 0; size < log.length; size++) {
      const { records, ended } = readAll(log.subarray(0, size))
      expect(ended).not.toBe('damaged')
      expectPrefix(records, written)
      // Every record that is there to its last byte is found.
      expect(encode(written.slice(0, records.length + 1)).length).toBeGreaterThan(size)
    }
  })

  test('pitfall 11: zeros from any byte to the end are an end', () => {
    for (let from = 0; from <= log.length; from++) {
      for (const extra of [0, 1, 27, 28, 512]) {
        const zeroed = new Uint8Array(log.length + extra)
        zeroed.set(log.subarray(0, from))
        const { records, ended } = readAll(zeroed)
        expect(ended).not.toBe('damaged')
        expectPrefix(records, written)
        if (records.length < written.length) {
          expect(encode(written.slice(0, records.length + 1)).length).toBeGreaterThan(from)
        }
      }
    }
  })

  test('pitfall 27: a changed byte is damage, never a shorter log', () => {
    const damaged = log.slice()
    for (let at = 0; at < log.length; at++) {
      const original = log[at] as number
      for (const value of [original ^ 1, original ^ 0x80, original ^ 0xff, 0]) {
        if (value === original) continue
        damaged[at] = value
        const { records, ended } = readAll(damaged)
        expectPrefix(records, written)
        // The one byte whose loss is no loss: the last end mark, behind a payload that proves itself.
        if (at === log.length - 1 && value === 0) expect(records).toHaveLength(written.length)
        else expect(ended).toBe('damaged')
      }
      damaged[at] = original
    }
  })

  test('a header that claims no writes, or sequences out of range, is damage', () => {
    for (const [firstSeq, count] of [[0, 1], [1, 0], [Number.MAX_SAFE_INTEGER, 2]] as const) {
      expect(readAll(concatBytes(frameWalRecord(firstSeq, count, [Uint8Array.of(1)]))).ended).toBe('damaged')
    }
  })
})
