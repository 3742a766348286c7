import { createServer, type Server } from 'node:net'

/**
 * The first of `count` consecutive TCP ports of 127.0.0.1 that were free a moment ago. Somebody else may still take one
 * before the caller does; the caller's server then fails to start, loudly.
 */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await listen(0)
    const port = portOf(first)
    const held = [first]
    try {
      for (let offset = 1; offset < count; offset++) held.push(await listen(port + offset))
      return port
    } catch {
      // The neighbour is taken: try another place.
    } finally {
      await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))))
    }
  }
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port')
  return address.port
}
