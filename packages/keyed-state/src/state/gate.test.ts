// Invariant: a call runs before a standstill when and only when it was made before, and waiting calls run in their order.
import { expect, test } from 'vitest'
import { Gate } from './gate.ts'
import { OperationContext } from './operation-context.ts'

const turns = async (): Promise<void> => {
  for (let i = 0; i < 10; i++) await Promise.resolve()
}

test('calls, standstills and handlers, in the order of the calls', async () => {
  const gate = new Gate()
  const trace: string[] = []
  const call = (name: string): void => gate.enter({ run: () => trace.push(name), fail: () => trace.push(`${name} failed`) })
  const still = (name: string): Promise<unknown> => gate.standStill(() => trace.push(name), () => undefined)
  const handler = new OperationContext(gate, 'handler')
  gate.begin()
  call('before')
  const first = still('first')
  call('between')
  const second = still('second')
  call('after')
  handler.run(() => call('of the handler'))
  await turns()
  expect(trace).toEqual(['before', 'of the handler'])
  handler.active = false
  handler.run(() => call('of the handler, too late'))
  gate.end()
  await Promise.all([first, second])
  expect(trace).toEqual(['before', 'of the handler', 'first', 'between', 'second', 'after', 'of the handler, too late'])
  expect(gate.isOpen).toBe(true)
})

test('a standstill with nothing under way is over in the call', () => {
  const gate = new Gate()
  let stood = false
  void gate.standStill(() => { stood = true }, () => undefined)
  expect(stood).toBe(true)
  expect(gate.isOpen).toBe(true)
})

test('closing fails what waits and what comes', async () => {
  const gate = new Gate()
  const failed: unknown[] = []
  gate.begin()
  const still = gate.standStill(() => 1, () => undefined)
  gate.enter({ run: () => {}, fail: (error) => failed.push(error) })
  gate.close('closed')
  gate.enter({ run: () => {}, fail: (error) => failed.push(error) })
  expect(failed).toEqual(['closed', 'closed'])
  await expect(still).rejects.toBe('closed')
  expect(() => gate.ensureOpen()).toThrow('closed')
})
