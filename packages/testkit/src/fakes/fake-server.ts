/**
 * Owns what the fakes of providers have in common: a server on loopback that writes down what it was asked, and the one place where a test may
 * answer in the provider's stead. Refuses to die of a bad request, and knows no provider's ways.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Asked {
  readonly method: string
  readonly url: URL
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface Said {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Answers in the provider's stead, or leaves it to the provider by giving nothing. It may also end the request's connection. */
export type Interference = (asked: Asked, response: ServerResponse) => Said | 'handled' | undefined

export interface FakeServer {
  readonly origin: string
  /** What was asked, oldest first, whoever answered. */
  readonly asked: readonly Asked[]
  /** From the next request on; nothing ends it. */
  interfere(how?: Interference): void
  close(): Promise<void>
}

export async function startFakeServer(answer: (asked: Asked) => Said): Promise<FakeServer> {
  const asked: Asked[] = []
  let interference: Interference | undefined
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      const one = { method: request.method!, url: new URL(request.url!, 'http://fake.invalid'), headers: request.headers, body }
      asked.push(one)
      const said = interference?.(one, response) ?? answer(one)
      if (said !== 'handled') response.writeHead(said.status, said.headers).end(said.body)
    }, ignoreLostRequest)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    interfere: (how) => void (interference = how),
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** A caller that went away before its body was whole has asked nothing. */
function ignoreLostRequest(): void {}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Said {
  return { status, headers: { 'content-type': 'application/json; charset=UTF-8', ...headers }, body: JSON.stringify(body) }
}

/**
 * Both halves of a Basic header as they were sent. Neither provider's reference asks for the form encoding of RFC 6749 section 2.3.1, and
 * neither is known to undo it: a client id or secret that comes encoded is another one.
 */
export function basicPair({ headers }: Asked): readonly [id: string, secret: string] | undefined {
  const encoded = /^Basic (\S+)$/u.exec(headers.authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = pair.indexOf(':')
  return colon < 0 ? undefined : [pair.slice(0, colon), pair.slice(colon + 1)]
}

/** The token of a Bearer header. */
export function bearer({ headers }: Asked): string | undefined {
  return /^bearer (\S+)$/iu.exec(headers.authorization ?? '')?.[1]
}
