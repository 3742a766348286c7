// Invariant: a watch knows every write since its beginning and none from before, until it is told that it has been overrun;
// nothing is remembered that nobody can ask for.
import { ByteWriter, SeededRandom, utf8Encode } from '@moraine/base'
import { EntryKind } from '@moraine/sstable'
import { describe, expect, test } from 'vitest'
import { encodeOperation } from '../batch/batch-codec.ts'
import { ENVELOPED } from '../batch/envelope.ts'
import { type KeyText, keyOfText, keyText } from '../key/key-text.ts'
import { holdsText, mergeRanges, rangeMeeting, type TextRange } from '../key/text-range.ts'
import { type ConflictWatch, ConflictWindow } from './conflict-window.ts'

const MIB = 1024 * 1024
const text = (name: string): KeyText => keyText(utf8Encode(name))

function record(window: ConflictWindow, seq: number, name: string): void {
  const key = utf8Encode(name)
  window.record(seq, EntryKind.put, key, 0, key.length, key, 0, 0)
}

function recordRange(window: ConflictWindow, seq: number, { gte, lt }: TextRange): void {
  const [start, end] = [keyOfText(gte), keyOfText(lt as KeyText)]
  window.record(seq, EntryKind.deleteRange, start, 0, start.length, end, 0, end.length)
}

describe('a conflict window', () => {
  for (let seed = 1; seed <= 100; seed++) {
    test(`against a plain list of writes, seed ${seed}`, () => {
      const random = new SeededRandom(seed)
      const letter = (): string => 'abcdefghij'[random.below(10)] as string
      const range = (): TextRange => ({ gte: text(letter()), lt: text(letter()) })
      const window = new ConflictWindow(MIB)
      const history: { seq: number; key?: KeyText; range?: TextRange }[] = []
      let watches: ConflictWatch[] = []
      let seq = 0
      for (let step = 0; step < 400; step++) {
        const dice = random.next()
        if (dice < 0.5) {
          const name = letter()
          history.push({ seq: ++seq, key: text(name) })
          if (window.recording) record(window, seq, name)
        } else if (dice < 0.6) {
          const deleted = range()
          history.push({ seq: ++seq, range: deleted })
          if (window.recording) recordRange(window, seq, deleted)
        } else if (dice < 0.75) watches.push(window.watch(seq))
        else if (dice < 0.88 && watches.length > 0) {
          const closed = random.pick(watches)
          closed.close()
          watches = watches.filter((watch) => watch !== closed)
        } else {
          for (const watch of watches) {
            const since = history.filter((write) => write.seq > watch.seq)
            const key = text(letter())
            const written = since.some((write) => write.key === key || (write.range !== undefined && holdsText(write.range, key)))
            expect(watch.keyWritten(key)).toBe(written)
            const merged = mergeRanges([range(), range()])
            const touched = since.some((write) =>
              write.key === undefined
                ? rangeMeeting(merged, write.range as TextRange) !== undefined
                : merged.some((one) => holdsText(one, write.key as KeyText)),
            )
            expect(watch.writtenIn(merged) !== undefined).toBe(touched)
          }
        }
        expect(window.recording).toBe(watches.length > 0)
        if (watches.length === 0) expect(window.sizeBytes).toBe(0)
      }
    })
  }

  test('the operations of a batch count one by one', () => {
    const window = new ConflictWindow(MIB)
    const before = window.watch(10)
    const writer = new ByteWriter()
    const [a, b, value] = [utf8Encode('a'), utf8Encode('b'), utf8Encode('value')]
    encodeOperation(writer, EntryKind.put | ENVELOPED, a, 0, 1, value, 0, 5)
    encodeOperation(writer, EntryKind.delete, b, 0, 1, b, 0, 0)
    encodeOperation(writer, EntryKind.merge, utf8Encode('c'), 0, 1, value, 0, 5)
    encodeOperation(writer, EntryKind.deleteRange, utf8Encode('e'), 0, 1, utf8Encode('g'), 0, 1)
    window.recordOperations(11, writer.view())
    const between = window.watch(11)
    const answers = (watch: ConflictWatch): string => [...'abcdefg'].filter((key) => watch.keyWritten(text(key))).join('')
    expect([answers(before), answers(between), answers(window.watch(13))]).toEqual(['abcef', 'bcef', 'ef'])
  })

  test('past its limit it gives up the oldest watches, and only as many as it must', () => {
    const window = new ConflictWindow(100 * 1024)
    const oldest = window.watch(0)
    for (let seq = 1; seq <= 500; seq++) record(window, seq, `key-${seq}`)
    const younger = window.watch(500)
    for (let seq = 501; seq <= 1200; seq++) record(window, seq, `key-${seq}`)
    expect(window.sizeBytes).toBeLessThanOrEqual(100 * 1024)
    expect([oldest.overrun, younger.overrun]).toEqual([true, false])
    expect(oldest.keyWritten(text('never written'))).toBe(true)
    expect(younger.keyWritten(text('never written'))).toBe(false)
    expect([younger.keyWritten(text('key-500')), younger.keyWritten(text('key-501'))]).toEqual([false, true])
    for (let seq = 1201; seq <= 5000; seq++) {
      if (window.recording) record(window, seq, `key-${seq}`)
    }
    expect([younger.overrun, window.recording, window.sizeBytes]).toEqual([true, false, 0])
  })

  test('a stream of short watches does not make it grow', () => {
    const window = new ConflictWindow(MIB)
    let seq = 0
    let previous = window.watch(seq)
    let most = 0
    for (let i = 0; i < 20_000; i++) {
      const next = window.watch(seq)
      record(window, ++seq, `key-${i % 7}`)
      previous.close()
      previous = next
      most = Math.max(most, window.sizeBytes)
    }
    expect(most).toBeLessThan(1000)
    expect(previous.keyWritten(text(`key-${19_999 % 7}`))).toBe(true)
    expect(previous.keyWritten(text(`key-${19_998 % 7}`))).toBe(false)
    previous.close()
    expect(window.sizeBytes).toBe(0)
  })

  test('once stopped it remembers nothing, and says so to those who still ask', () => {
    const window = new ConflictWindow(MIB)
    const watch = window.watch(0)
    record(window, 1, 'a')
    window.stop()
    expect([window.recording, window.sizeBytes, watch.overrun]).toEqual([false, 0, true])
    watch.close()
  })
})
