// Invariant: output waits for its reader, loses no line, and tells a reader that left from a disk that is full.
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { OutputClosedError, TextOutput } from './text-output.ts'

test('lines come out in order, in large pieces', async () => {
  const pieces: string[] = []
  const output = new TextOutput(new Writable({ write: (piece, _, done) => (pieces.push(String(piece)), done()) }))
  let expected = ''
  for (let i = 0; i < 20_000; i++) {
    expected += `line ${i}\n`
    const wait = output.line(`line ${i}`)
    if (wait !== undefined) await wait
  }
  await output.flush()
  expect(pieces.join('')).toBe(expected)
  expect(pieces.length).toBeLessThan(10)
})

test('a slow reader is waited for', async () => {
  let release = (): void => {}
  const output = new TextOutput(new Writable({ write: (_piece, _encoding, done) => (release = done) }))
  const waiting = output.line('x'.repeat(100_000))
  let taken = false
  void waiting?.then(() => (taken = true))
  for (let i = 0; i < 10; i++) await Promise.resolve()
  expect(taken).toBe(false)
  release()
  await waiting
})

test.each([
  ['EPIPE', OutputClosedError],
  ['ENOSPC', Error],
])('%s', async (code, type) => {
  const failure = Object.assign(new Error(code), { code })
  const output = new TextOutput(new Writable({ write: (_piece, _encoding, done) => done(failure) }))
  void output.line('x')
  const error: unknown = await output.flush().catch((reason: unknown) => reason)
  expect((error as Error).constructor).toBe(type)
})
