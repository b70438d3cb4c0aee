/**
 * Owns the model vendors that tests call: the sandbox's, Bedrock beside them, and who sells access tokens to Vertex AI, with every call of a model written
 * down as it arrives and as it ends. Refuses to keep bodies: it keeps their size and digest. A test may answer in a vendor's stead.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { SANDBOX_MODELS, startModelVendors } from '@sallyport/sandbox'
import type { Models } from '@sallyport/sandbox'
import { bedrock } from './bedrock.ts'
import { accessTokens, TOKEN_PATH } from './access-tokens.ts'

export const VENDORS = ['openai', 'anthropic', 'gemini', 'bedrock', 'azure-openai', 'cohere', 'vertex'] as const
export type VendorName = (typeof VENDORS)[number]

export interface SeenCall {
  readonly vendor: string
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  /** Of what has come of the body; final once `read` has resolved. */
  bytes: number
  sha256: string
  /** Resolves when the body is whole, or its sender gone. */
  readonly read: Promise<void>
  /** Resolves when the answer is over: true when the caller went away before its end. */
  readonly over: Promise<boolean>
  isOver: boolean
}

/** Answers in the vendor's stead and reads the body; gives false to leave the call to the vendor. */
export type Instead = (request: IncomingMessage, response: ServerResponse) => boolean | void

export interface ModelUpstream {
  readonly origin: string
  /** What opens every vendor but Bedrock; at Vertex AI it is the access token. Not real. */
  readonly key: string
  /** What signs calls to Bedrock in `us-east-1`. Not real. */
  readonly aws: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** What buys access tokens for Vertex AI, where, and how often it has. */
  readonly serviceAccount: { readonly file: () => string; readonly tokenEndpoint: string; readonly sold: () => number }
  readonly models: Models
  /** Oldest first. */
  readonly seen: SeenCall[]
  base(vendor: VendorName): string
  /** From the next call on; nothing ends it. */
  instead(how?: Instead): void
  /** Connections open now. */
  connections(): number
  close(): Promise<void>
}

export interface ModelUpstreamOptions {
  /** Told to callers as the models there are. Default: the sandbox's. */
  readonly models?: Models
  /** Between the pieces of a stream. */
  readonly pauseMs?: number
  readonly key?: string
}

const AWS = { accessKeyId: 'NOTAREALACCESSKEYID', secretAccessKey: 'not-a-real-secret-access-key' }

export async function startModelUpstream(options: ModelUpstreamOptions = {}): Promise<ModelUpstream> {
  const seen: SeenCall[] = []
  const sockets = new Set<object>()
  const models = options.models ?? SANDBOX_MODELS
  let instead: Instead | undefined
  const key = options.key ?? 'not-a-real-vendor-key-0123456789'
  const tokens = accessTokens(key)
  const vendors = await startModelVendors({
    key,
    models,
    pauseMs: options.pauseMs ?? 0,
    more: { bedrock: bedrock({ ...AWS, region: 'us-east-1' }) },
    watch: (request, response) => {
      if (tokens.sell(request, response)) return true
      seen.push(watched(request, response))
      if (!sockets.has(request.socket)) {
        sockets.add(request.socket)
        request.socket.once('close', () => sockets.delete(request.socket))
      }
      return instead !== undefined && instead(request, response) !== false
    },
  })
  return {
    origin: vendors.origin,
    key: vendors.key,
    aws: AWS,
    serviceAccount: { file: () => tokens.account(), tokenEndpoint: `${vendors.origin}${TOKEN_PATH}`, sold: () => tokens.sold() },
    models,
    seen,
    base: (vendor) => `${vendors.origin}/${vendor}`,
    instead: (how) => void (instead = how),
    connections: () => sockets.size,
    close: () => vendors.close(),
  }
}

function watched(request: IncomingMessage, response: ServerResponse): SeenCall {
  const hash = createHash('sha256')
  const read = Promise.withResolvers<void>()
  const over = Promise.withResolvers<boolean>()
  const { method = '', url = '', headers, rawHeaders } = request
  const call: SeenCall = {
    vendor: url.split('/')[1] ?? '',
    method,
    url,
    headers,
    rawHeaders,
    bytes: 0,
    sha256: '',
    read: read.promise,
    over: over.promise,
    isOver: false,
  }
  request.on('data', (chunk: Buffer) => {
    hash.update(chunk)
    call.bytes += chunk.length
  })
  request.once('close', () => {
    call.sha256 = hash.digest('hex')
    read.resolve()
  })
  request.on('error', () => undefined)
  response.once('close', () => {
    call.isOver = true
    over.resolve(!response.writableFinished)
  })
  return call
}
