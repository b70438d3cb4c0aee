/**
 * Owns the node server under everything: limits on headers and time, answers to what is no HTTP, and an end that lets running
 * requests finish. Refuses to let any request past while draining, whichever plane it belongs to, and one without exactly one Host.
 */
import { once } from 'node:events'
import { createServer, STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ProblemCode } from '@sallyport/contract'
import { formatId, newId, TransientSet } from '@sallyport/core'
import { holdConnections } from './connections.ts'
import { ProblemError, problemFor, problemHeaders, sendProblem } from './problem.ts'
import { createTlsServer } from './tls.ts'
import type { TlsCertificate } from './tls.ts'

export interface ServerLimits {
  /** From a connection's first byte (or its opening) to the last header. */
  readonly headersTimeoutMs: number
  /** From the first byte to the last of the body. */
  readonly requestTimeoutMs: number
  /** How long an idle connection is kept between requests. */
  readonly keepAliveTimeoutMs: number
  /** The request line and all headers, in bytes. */
  readonly maxHeaderBytes: number
  readonly maxHeaderCount: number
  /** How long a client may read nothing of an answer that waits for it. */
  readonly stallTimeoutMs: number
  /** From a connection's opening until TLS is agreed on, where it is ended here. */
  readonly handshakeTimeoutMs: number
  /** All together, and from one address. */
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
}

export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16 * 1024,
  maxHeaderCount: 128,
  stallTimeoutMs: 60_000,
  handshakeTimeoutMs: 10_000,
  maxConnections: 20_000,
  maxConnectionsPerAddress: 2_000,
}

/** How often node looks for connections over their time. */
const CHECK_INTERVAL_MS = 1_000
/** How long a refused sender is listened to without being heard, and a connection without a request is kept at the end. */
const LINGER_MS = 1_000
/** Requests of one connection that may be under way. Clients that send the next before the answer (RFC 9112 section 9.3.2) are few, and modest. */
const MAX_PIPELINED = 32

export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

export interface DrainingServer {
  readonly server: Server
  readonly draining: boolean
  /** From now on every new request gets 503 `draining` and its connection closes. Idempotent; the port stays open. */
  startDraining(): void
  /** Stops listening and waits for running requests; those still there after `timeoutMs` are cut. True when none was cut. */
  close(timeoutMs: number): Promise<boolean>
}

export interface ServerListeners {
  /** Asked for each request while draining: true when it answered (health checks do, so that a watcher sees the drain). */
  readonly whileDraining: (request: IncomingMessage, response: ServerResponse) => boolean
  readonly requests: RequestListener
  /** Of every answer that is given here. */
  readonly headers: Readonly<Record<string, string>>
  /** What connections of one address are counted under; undefined for those that are not counted, being many clients' together. */
  readonly addressGroup?: (address: string) => string | undefined
}

/** @param certificate with it the server speaks nothing but TLS. */
export function createDrainingServer(listeners: ServerListeners, limits: ServerLimits, certificate?: TlsCertificate): DrainingServer {
  const running = new TransientSet<ServerResponse>()
  const underWay = new WeakMap<Socket, number>()
  const answered = new WeakSet<Duplex>()
  let draining = false
  const refuse = (response: ServerResponse, code: ProblemCode, detail: string): void =>
    refuseUnread(response, code, detail, listeners.headers)
  const take: RequestListener = (request, response) => {
    const { socket } = request
    const before = underWay.get(socket) ?? 0
    underWay.set(socket, before + 1)
    running.add(response)
    response.once('close', () => {
      running.delete(response)
      underWay.set(socket, underWay.get(socket)! - 1)
    })
    if (before >= MAX_PIPELINED) refuse(response, 'overloaded', 'Too many requests of this connection are under way.')
    else if (draining && !listeners.whileDraining(request, response))
      refuse(response, 'draining', 'This node is shutting down; send the request again.')
    else if (!draining) admit(request, response)
  }
  const server = createNodeServer(limits, certificate, take)
  const connections = holdConnections(server, { ...limits, addressGroup: listeners.addressGroup })
  const admit = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.rawHeaders.length > 2 * limits.maxHeaderCount) refuse(response, 'headers_too_large', 'There are too many headers.')
    else if (!hasOneHost(request)) refuse(response, 'bad_request', 'A request has exactly one Host header.')
    else listeners.requests(request, response)
  }
  // Node drops headers past this count in silence; they are counted above instead.
  server.maxHeadersCount = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Into the middle of an answer that is under way nothing can be said any more.
    const midway = [...running].some((response) => response.req.socket === socket && response.headersSent)
    if (answered.has(socket)) return
    if (midway || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    answered.add(socket)
    answerClientError(error.code, socket, listeners.headers)
    endSoon(socket)
  })
  // Of a connection that is silent: between requests, or in the middle of an answer that nobody reads. One that waits for us is left alone.
  server.on('timeout', (socket: Socket) => {
    if ((underWay.get(socket) ?? 0) === 0 || socket.writableLength > 0) socket.destroy()
  })
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response)
    take(request, response)
  })
  server.on('checkExpectation', (_request, response: ServerResponse) => {
    refuse(response, 'header_refused', 'The expectation in the Expect header is not met here.')
  })
  return {
    server,
    get draining() {
      return draining
    },
    startDraining: () => {
      draining = true
      for (const response of running) if (!response.headersSent) response.setHeader('connection', 'close')
    },
    close: (timeoutMs) => closeServer(server, running, () => connections.cutAll(), timeoutMs),
  }
}

function createNodeServer(limits: ServerLimits, certificate: TlsCertificate | undefined, take: RequestListener): Server {
  const options = nodeOptions(limits)
  const server =
    certificate === undefined
      ? createServer(options, take)
      : createTlsServer(certificate, { ...options, handshakeTimeout: limits.handshakeTimeoutMs }, take)
  server.timeout = limits.stallTimeoutMs
  return server
}

function nodeOptions(limits: ServerLimits) {
  return {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // Looked at by hasOneHost: node takes two, and answers none with a bare 400.
    requireHostHeader: false,
    // Two readings of one request are how requests are smuggled: the strict parser refuses both.
    insecureHTTPParser: false,
  }
}

/**
 * A sender that asks first (RFC 9110 section 10.1.1) is told to go on when somebody begins to read its body, not before: whoever refuses the
 * request does so before a byte of it is sent. The refused one's connection ends, since nobody knows whether its body comes after all.
 */
function continueWhenRead(request: IncomingMessage, response: ServerResponse): void {
  const keepAlive = response.shouldKeepAlive
  response.shouldKeepAlive = false
  request.once('resume', () => {
    if (response.headersSent) return
    response.shouldKeepAlive = keepAlive
    response.writeContinue()
  })
}

/** RFC 9112 section 3.2. Two are how a request comes to mean one host to a proxy and another behind it; HTTP/1.0 may do without. */
function hasOneHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === 'host') hosts += 1
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0')
}

async function closeServer(
  server: Server,
  running: Iterable<ServerResponse> & { readonly size: number },
  cutAll: () => void,
  timeoutMs: number,
): Promise<boolean> {
  const closed = server.listening ? once(server, 'close') : Promise.resolve()
  server.close()
  const deadline = AbortSignal.timeout(timeoutMs)
  let whole = true
  const cut = (): void => {
    whole = running.size === 0
    cutAll()
  }
  deadline.addEventListener('abort', cut, { once: true })
  await Promise.all([...running].map((response) => finished(response)))
  // A connection that never carried a request, or half of one, or agreed on no TLS yet, is none that node takes for idle; it holds nothing up for long.
  const rest = setTimeout(cutAll, LINGER_MS)
  await closed
  clearTimeout(rest)
  deadline.removeEventListener('abort', cut)
  return whole
}

/** A connection that said keep-alive before the end began is ended behind its last answer. */
async function finished(response: ServerResponse): Promise<void> {
  if (!response.closed) await once(response, 'close')
  response.req.socket.end()
}

/** Refuses before the body is read: the connection can't be used again. */
function refuseUnread(response: ServerResponse, code: ProblemCode, detail: string, headers: Readonly<Record<string, string>>): void {
  response.setHeader('connection', 'close')
  sendProblem(response, new ProblemError(code, detail), formatId('req', newId('req')), headers)
}

/** What node's parser refused. There is no response object yet, so the answer is written by hand (RFC 9112 section 4). */
function answerClientError(code: string | undefined, socket: Duplex, more: Readonly<Record<string, string>>): void {
  const requestId = formatId('req', newId('req'))
  const refusal = new ProblemError(...clientFault(code))
  const problem = problemFor(refusal, requestId)
  const body = JSON.stringify(problem)
  const headers = {
    ...more,
    ...problemHeaders(problem, refusal, requestId),
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  socket.end(`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`)
}

/**
 * What still arrives is read and dropped for a while: a connection that is closed over unread bytes is reset, and the answer is lost with it
 * (RFC 9112 section 9.6).
 */
function endSoon(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

function clientFault(code: string | undefined): [ProblemCode, string] {
  if (code === 'HPE_HEADER_OVERFLOW') return ['headers_too_large', 'The request line and headers are too long.']
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return ['request_timeout', 'The request did not arrive in time.']
  return ['bad_request', 'This is no valid HTTP/1.1 request.']
}
