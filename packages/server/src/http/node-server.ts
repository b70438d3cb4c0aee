/**
 * Owns the node server under everything: limits on headers and time, answers to what is no HTTP, and an end that lets running
 * requests finish. Refuses to let any request past while draining, whichever plane it belongs to, and one without exactly one Host.
 */
import { once } from 'node:events'
import { createServer, STATUS_CODES } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ProblemCode } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import { ProblemError, problemFor, problemHeaders, sendProblem } from './problem.ts'

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
}

export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16 * 1024,
  maxHeaderCount: 128,
}

/** How often node looks for connections over their time. */
const CHECK_INTERVAL_MS = 1_000
/** How long a refused sender is listened to without being heard, and a connection without a request is kept at the end. */
const LINGER_MS = 1_000

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
}

export function createDrainingServer(listeners: ServerListeners, limits: ServerLimits): DrainingServer {
  const running = new Set<ServerResponse>()
  const answered = new WeakSet<Duplex>()
  let draining = false
  const refuse = (response: ServerResponse, code: ProblemCode, detail: string): void =>
    refuseUnread(response, code, detail, listeners.headers)
  const take: RequestListener = (request, response) => {
    running.add(response)
    response.once('close', () => running.delete(response))
    if (draining && !listeners.whileDraining(request, response))
      refuse(response, 'draining', 'This node is shutting down; send the request again.')
    else if (!draining) admit(request, response)
  }
  const server = createServer(nodeOptions(limits), take)
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
    close: (timeoutMs) => closeServer(server, running, timeoutMs),
  }
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

async function closeServer(server: Server, running: ReadonlySet<ServerResponse>, timeoutMs: number): Promise<boolean> {
  const closed = server.listening ? once(server, 'close') : Promise.resolve()
  server.close()
  const deadline = AbortSignal.timeout(timeoutMs)
  let whole = true
  const cut = (): void => {
    whole = running.size === 0
    server.closeAllConnections()
  }
  deadline.addEventListener('abort', cut, { once: true })
  await Promise.all([...running].map((response) => finished(response)))
  // A connection that never carried a request, or half of one, is none that node takes for idle; it holds nothing up for long.
  const rest = setTimeout(() => server.closeAllConnections(), LINGER_MS)
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
