/** Owns the choice of a loopback port. Cannot reserve it: whoever uses the port tries again with another when it was taken meanwhile. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const ATTEMPTS = 4
const MANY = 100

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

/** Below the ports that Linux gives to outgoing connections by itself (32768 and up): one that is free stays free, but for others who look for one here. Above the last one that browsers refuse (10080). */
const FIRST = 10_100
const COUNT = 22_000

/** A loopback port that is free at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = FIRST + randomInt(COUNT)
    const server = createServer()
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    } catch (error) {
      if (attempt === MANY) throw error
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
