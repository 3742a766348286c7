// Invariant: a body is read whole and of the announced length, or the read rejects and its stream is destroyed.
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { readBody } from './read-body.ts'

describe('readBody', () => {
  it('reads a body of known and of unknown size', async () => {
    const chunks = [Buffer.from('ab'), Buffer.from(''), Buffer.from('cde')]
    expect(await readBody(Readable.from(chunks), 5)).toEqual(new Uint8Array(Buffer.from('abcde')))
    expect(await readBody(Readable.from(chunks), undefined)).toEqual(new Uint8Array(Buffer.from('abcde')))
    expect(await readBody(Readable.from([]), 0)).toEqual(new Uint8Array(0))
  })

  it.each([4, 6])('pitfall 15: a body of 5 bytes announced as %i is refused', async (announced) => {
    const stream = Readable.from([Buffer.from('abc'), Buffer.from('de')])
    await expect(readBody(stream, announced)).rejects.toThrow(/body/)
    expect(stream.destroyed).toBe(true)
  })

  it('pitfall 15: a stream that closes without an end or an error is refused', async () => {
    const stream = new PassThrough()
    const reading = readBody(stream, 5)
    stream.write('ab')
    setImmediate(() => stream.destroy())
    await expect(reading).rejects.toThrow(/closed after 2 bytes/)
  })

  it('passes an error of the stream on', async () => {
    const stream = new PassThrough()
    const reading = readBody(stream, undefined)
    stream.destroy(new Error('reset'))
    await expect(reading).rejects.toThrow('reset')
  })
})
