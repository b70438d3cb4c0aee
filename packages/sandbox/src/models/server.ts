/**
 * Owns the sandbox's model vendors as a server: each under its provider's id on one loopback port, in its own vendor's words. Refuses
 * every key but its own, keeps nothing of what it was asked, and lets whoever watches (a test) answer in a vendor's stead.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { anthropic } from './anthropic.ts'
import { azure } from './azure.ts'
import { cohere } from './cohere.ts'
import { gemini } from './gemini.ts'
import { Multipart } from './multipart.ts'
import { openai } from './openai.ts'
import { isRefusal } from './vendor.ts'
import type { Answer, Body, Call, Models, Refusal, Vendor } from './vendor.ts'
import { vertex } from './vertex.ts'

/** What is a JSON document is read whole, up to here. */
const LONGEST_JSON = 32 * 1024 * 1024

export const SANDBOX_MODELS: Models = {
  chat: ['sandbox-large', 'sandbox-small'],
  embedding: ['sandbox-embedding'],
  audio: ['sandbox-ears'],
}

export interface ModelVendorsOptions {
  readonly key: string
  /** Default: `SANDBOX_MODELS`. */
  readonly models?: Models
  /** Between the pieces of a stream. Default 0. */
  readonly pauseMs?: number
  /** Vendors beside the built-in ones, by the first segment of their paths. */
  readonly more?: Readonly<Record<string, Vendor>>
  /** Told of each request as it arrives. Who gives true answers it, and reads its body. */
  readonly watch?: (request: IncomingMessage, response: ServerResponse) => boolean
}

/** By the ids that their providers have in the catalog. */
const BUILT_IN: Readonly<Record<string, Vendor>> = { openai, anthropic, gemini, 'azure-openai': azure, cohere, vertex }

/** A request handler of all vendors. */
export function modelVendors(options: ModelVendorsOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const vendors: Readonly<Record<string, Vendor>> = { ...BUILT_IN, ...options.more }
  const models = options.models ?? SANDBOX_MODELS
  return (request, response) => {
    if (options.watch?.(request, response) === true) return
    void serve(request, response, { vendors, models, key: options.key, pauseMs: options.pauseMs ?? 0 }).catch(() => response.destroy())
  }
}

export interface ModelProvider {
  /** `http://127.0.0.1:<port>`; a vendor's base is this with its name. */
  readonly origin: string
  readonly key: string
  readonly models: Models
  close(): Promise<void>
}

/** Listens on `port`, or on any free one. @throws Error when the port is taken. */
export async function startModelVendors(options: ModelVendorsOptions & { readonly port?: number }): Promise<ModelProvider> {
  const server: Server = createServer({ keepAliveTimeout: 30_000 }, modelVendors(options))
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: options.key,
    models: options.models ?? SANDBOX_MODELS,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

interface House {
  readonly vendors: Readonly<Record<string, Vendor>>
  readonly models: Models
  readonly key: string
  readonly pauseMs: number
}

async function serve(request: IncomingMessage, response: ServerResponse, house: House): Promise<void> {
  const url = new URL(request.url ?? '/', `http://${request.headers.host ?? 'sandbox.invalid'}`)
  const name = /^\/(?<vendor>[^/]+)\//u.exec(url.pathname)?.groups?.['vendor'] ?? ''
  const vendor = Object.hasOwn(house.vendors, name) ? house.vendors[name]! : undefined
  const body = await bodyOf(request)
  if (vendor === undefined) return void response.writeHead(404).end()
  const call: Call = {
    method: request.method ?? 'GET',
    path: url.pathname.slice(name.length + 1),
    query: url.searchParams,
    headers: request.headers,
    url: request.url ?? '/',
    body,
    base: `${url.origin}/${name}`,
  }
  await send(response, answerOf(vendor, call, house), house.pauseMs)
}

function answerOf(vendor: Vendor, call: Call, { key, models }: House): Answer {
  const why = vendor.keyFault(call, key)
  if (why !== undefined) return vendor.refuse({ why })
  const answer: Answer | Refusal = vendor.answer(call, models)
  return isRefusal(answer) ? vendor.refuse(answer) : answer
}

/** Waits for a client that reads slowly, and ends where it has gone. */
async function send(response: ServerResponse, answer: Answer, pauseMs: number): Promise<void> {
  response.writeHead(answer.status, answer.headers)
  if (answer.pieces === undefined) return void response.end(answer.body)
  for (const piece of answer.pieces) {
    if (response.destroyed) return
    if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')])
    if (pauseMs > 0) await pause(pauseMs)
  }
  response.end()
}

/** Files and bytes pass through a digest; JSON alone is kept. */
async function bodyOf(request: IncomingMessage): Promise<Body> {
  const type = request.headers['content-type'] ?? ''
  if (type.startsWith('multipart/form-data')) return await partsOf(request, type)
  // Pieces of a resumable upload may bear any type, the caller's own too.
  const isJson = /^application\/json\b/iu.test(type) && request.headers['x-goog-upload-offset'] === undefined
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (isJson && bytes <= LONGEST_JSON) kept.push(chunk)
    else hash.update(chunk)
  }
  if (!isJson) return { kind: 'bytes', bytes, sha256: hash.digest('hex') }
  return bytes > LONGEST_JSON ? { kind: 'too large' } : parsed(Buffer.concat(kept))
}

async function partsOf(request: IncomingMessage, type: string): Promise<Body> {
  try {
    const reader = new Multipart(type)
    for await (const chunk of request as AsyncIterable<Buffer>) reader.write(chunk)
    return { kind: 'parts', parts: reader.end() }
  } catch {
    return { kind: 'broken' }
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function parsed(raw: Buffer): Body {
  try {
    const text = utf8.decode(raw)
    return { kind: 'json', value: JSON.parse(text), text }
  } catch {
    return { kind: 'broken', raw }
  }
}
