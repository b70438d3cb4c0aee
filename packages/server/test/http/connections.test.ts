/** What connections may take of a node: how many there are, how much of each is under way, and how long one that does not read is waited for. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createDrainingServer, DEFAULT_SERVER_LIMITS } from '../../src/http/node-server.ts'
import type { DrainingServer, RequestListener, ServerLimits } from '../../src/http/node-server.ts'

const open: { base: DrainingServer; sockets: Socket[] }[] = []
afterEach(async () => {
  for (const { base, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy()
    await base.close(0)
  }
})

interface Wanted {
  readonly limits?: Partial<ServerLimits>
  readonly requests?: RequestListener
  readonly addressGroup?: (address: string) => string | undefined
}

async function serve({ limits, requests = (_request, response) => void response.end('hello'), addressGroup = (at) => at }: Wanted) {
  const listeners = { whileDraining: () => false, requests, headers: {}, addressGroup }
  const base = createDrainingServer(listeners, { ...DEFAULT_SERVER_LIMITS, ...limits })
  const at = { base, sockets: [] as Socket[] }
  open.push(at)
  base.server.listen(0, '127.0.0.1')
  await once(base.server, 'listening')
  const { port } = base.server.address() as AddressInfo
  return {
    base,
    /** A connection from an address of loopback, with what came over it. */
    dial: async (localAddress = '127.0.0.1'): Promise<{ socket: Socket; text: () => string; closed: Promise<void> }> => {
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      at.sockets.push(socket)
      let text = ''
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
      socket.on('error', () => undefined)
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      await once(socket, 'connect')
      return { socket, text: () => text, closed }
    },
  }
}

const GET = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

describe('connections', () => {
  it('D-04 from one address are cut past its bound, and another address is served', async () => {
    const { dial } = await serve({ limits: { maxConnectionsPerAddress: 10 } })
    const held = await Promise.all(Array.from({ length: 10 }, () => dial('127.0.0.2')))
    for (const { socket, text } of held) {
      socket.write(GET)
      await expect.poll(text, { timeout: 30_000 }).toContain('hello')
    }
    for (let i = 0; i < 5; i++) await (await dial('127.0.0.2')).closed
    const other = await dial('127.0.0.3')
    other.socket.write(GET)
    await expect.poll(other.text, { timeout: 30_000 }).toContain('hello')
    // A place that is given back is somebody's.
    held[0]!.socket.destroy()
    await expect
      .poll(
        async () => {
          const next = await dial('127.0.0.2')
          next.socket.write(GET)
          await Promise.race([next.closed, once(next.socket, 'data')])
          return next.text()
        },
        { timeout: 30_000 },
      )
      .toContain('hello')
  })

  it('D-04 of a proxy are not counted by its address', async () => {
    const { dial } = await serve({ limits: { maxConnectionsPerAddress: 10 }, addressGroup: () => undefined })
    const held = await Promise.all(Array.from({ length: 30 }, () => dial()))
    for (const { socket } of held) socket.write(GET)
    for (const { text } of held) await expect.poll(text, { timeout: 30_000 }).toContain('hello')
  })

  it('D-04 that only wait make room when all places are taken', async () => {
    const { dial } = await serve({ limits: { maxConnections: 20 } })
    const idle = await Promise.all(Array.from({ length: 20 }, () => dial()))
    for (const { socket, text } of idle) {
      socket.write(GET)
      await expect.poll(text, { timeout: 30_000 }).toContain('hello')
    }
    // The first who comes has a place.
    const next = await dial()
    next.socket.write(GET)
    await Promise.race([next.closed, once(next.socket, 'data')])
    expect(next.text()).toContain('hello')
  })
})

describe('requests that are sent ahead of their answers', () => {
  it('D-04 are answered in order, and are no more at once than a modest client sends', async () => {
    let under = 0
    let most = 0
    const waiting: (() => void)[] = []
    const { dial } = await serve({
      requests: (_request, response) => {
        most = Math.max(most, (under += 1))
        waiting.push(() => {
          under -= 1
          response.end('hello')
        })
      },
    })
    const { socket, text, closed } = await dial()
    socket.write(GET.repeat(40))
    await expect.poll(() => waiting.length, { timeout: 30_000 }).toBe(32)
    for (const answer of waiting.splice(0)) answer()
    await closed
    expect(most).toBe(32)
    // Those that had a place are answered first, then the first of those that had none, which ends the connection.
    expect(text().split('HTTP/1.1 200').length - 1).toBe(32)
    expect(text().split('HTTP/1.1 503').length - 1).toBe(1)
  })
})

/** Long enough for a busy machine to read a request that has been sent: a connection that is silent before one is cut, too. */
const SILENCE_MS = 1_500

describe('a client that does not read', () => {
  const endless: RequestListener = (_request, response) => {
    const chunk = Buffer.alloc(1024 * 1024, 0x20)
    const write = (): void => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', write)
    write()
  }

  it('D-08 is cut, and the answer with it', async () => {
    let gone = false
    const { dial } = await serve({
      limits: { stallTimeoutMs: SILENCE_MS },
      requests: (request, response) => {
        response.once('close', () => (gone = true))
        endless(request, response)
      },
    })
    const { socket } = await dial()
    socket.pause()
    socket.write(GET)
    await expect.poll(() => gone, { timeout: 30_000 }).toBe(true)
  })

  it('D-08 is told from one that waits: an answer that says nothing for a while is not cut', async () => {
    let say: (text: string) => void = () => undefined
    let silent: () => void = () => undefined
    const passed = new Promise<void>((resolve) => (silent = resolve))
    const { base, dial } = await serve({
      limits: { stallTimeoutMs: SILENCE_MS },
      requests: (_request, response) => {
        say = (text) => void response.end(text)
        response.write('first')
      },
    })
    base.server.on('timeout', silent)
    const { socket, text } = await dial()
    socket.write(GET)
    await passed
    say('later')
    await expect.poll(text, { timeout: 30_000 }).toContain('later')
  })
})
