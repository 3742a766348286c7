// Invariant: the ports handed out can be listened on, all of them.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { freePorts } from './free-ports.ts'

test('every port of the range is free', async () => {
  const first = await freePorts(3)
  const servers = await Promise.all(
    [0, 1, 2].map(async (offset) => {
      const server = createServer().listen(first + offset, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  expect(servers.map((server) => server.listening)).toEqual([true, true, true])
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})
