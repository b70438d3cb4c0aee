import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { lingerOverBody } from './unread-body.ts'

const BYTES = 1_000_000
const ends: (() => void)[] = []
afterEach(() => ends.splice(0).forEach((end) => end()))

/** Refuses each upload when `refusal` says so, and answers anything else with `next`. */
async function refuser(refusal: (request: IncomingMessage) => Promise<unknown>): Promise<Socket> {
  const server = createServer((request, response) => {
    const refuse = (): void => {
      lingerOverBody(request, response)
      response.writeHead(413).end('refused')
    }
    if (request.method === 'GET') response.end('next')
    else void refusal(request).then(refuse)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  ends.push(
    () => void server.close(),
    () => void socket.destroy(),
  )
  return socket.setEncoding('utf8')
}

async function until(socket: Socket, text: string): Promise<void> {
  let heard = ''
  for await (const piece of socket.iterator({ destroyOnReturn: false })) {
    heard += piece as string
    if (heard.includes(text)) return
  }
  throw new Error(`The connection ended before "${text}".`)
}

const READERS: readonly [string, (request: IncomingMessage) => Promise<unknown>][] = [
  ['before a byte of it was read', () => Promise.resolve()],
  [
    'by whoever read some of it',
    async (request) => {
      for await (const _piece of request.iterator({ destroyOnReturn: false })) return
    },
  ],
  [
    'by whoever listened to it and stopped',
    async (request) => {
      await once(request, 'data')
      request.on('data', () => request.pause())
      request.pause()
    },
  ],
]

describe('a body that was refused', () => {
  it.each(READERS)('D-06 %s is discarded, and its connection serves the next request', async (_when, refusal) => {
    const socket = await refuser(refusal)
    socket.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${BYTES}\r\n\r\n${'x'.repeat(BYTES / 10)}`)
    await until(socket, 'refused')
    socket.write(`${'x'.repeat(BYTES - BYTES / 10)}GET / HTTP/1.1\r\nhost: a\r\n\r\n`)
    await until(socket, 'next')
    expect(socket.destroyed).toBe(false)
  })

  it('D-04 that goes on and on ends with its connection', async () => {
    const socket = await refuser(() => Promise.resolve())
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n')
    await until(socket, 'refused')
    await expect(until(socket, 'more')).rejects.toThrow('ended')
  })
})
