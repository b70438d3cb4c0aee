/** Owns the choice of a loopback port. Cannot reserve it: whoever uses the port tries again with another when it was taken meanwhile. */
import { once } from 'node:events'
import { createServer } from 'node:net'

const ATTEMPTS = 4

/** Calls `start` with a port that was free a moment ago, and again with another one when it fails; the last failure is thrown. */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort())
    } catch (error) {
      if (attempt === ATTEMPTS) throw error
    }
  }
}

/** A loopback port that is free at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('the operating system gave no loopback port')
  return address.port
}
