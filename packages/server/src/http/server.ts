/**
 * Owns the gateway's HTTP server: health first, then questions of browsers, then the data plane on bare node, then the control plane in Fastify, where every answer
 * carries the same headers and every failure is a problem. Refuses undeclared routes, other body types and Fastify's own error texts.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import cookie from '@fastify/cookie'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { serializerCompiler } from 'fastify-type-provider-zod'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import type { Logger } from '@sallyport/core'
import type { StepUp } from '../access/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import { addressGroup } from '../identity/index.ts'
import type { BreakGlassRecord, KeyAuthenticator, KeyUses, People, Sessions } from '../identity/index.ts'
import type { Limiter } from '../limits/index.ts'
import { isTrustedPeer, trustedProxies } from './client-address.ts'
import { serveConsole } from './console-pages.ts'
import type { CrossOrigin } from './cross-origin.ts'
import { transportHeaders } from './edge-headers.ts'
import { addSecurityHeaders } from './headers.ts'
import { createKeyDoor } from './key-door.ts'
import { createHealthListener } from './health.ts'
import type { Readiness } from './health.ts'
import { parseJsonBody } from './json-body.ts'
import { createDrainingServer, DEFAULT_SERVER_LIMITS } from './node-server.ts'
import type { ServerLimits } from './node-server.ts'
import { createPlainHttpGuard } from './plain-http.ts'
import { collectOpenApi, serveReference } from './openapi.ts'
import { notFound, ProblemError, problemFor, problemHeaders } from './problem.ts'
import { guardRequests } from './request-guard.ts'
import { guardRoutes } from './route-guard.ts'
import { sessionCookieName } from './session-cookie.ts'
import type { TlsCertificate } from './tls.ts'
import { validatorCompiler } from './validation.ts'

export interface HttpServerOptions {
  /** As browsers and clients reach it; https here means that a TLS proxy stands in front, or that `certificate` is given. */
  readonly publicUrl: string
  /** Addresses and CIDR ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  readonly limits?: Partial<ServerLimits>
  /** Ends TLS here. */
  readonly certificate?: TlsCertificate | undefined
  /** Refuse what did not come by TLS, here or at a trusted proxy. */
  readonly requireTls?: boolean
  readonly logger: Logger
  readonly keys: Pick<KeyAuthenticator, 'cached' | 'judge' | 'authenticate'>
  readonly keyGuard: Pick<KeyGuard, 'admit'>
  readonly keyUses: Pick<KeyUses, 'note'>
  readonly sessions: Pick<Sessions, 'lookup'>
  readonly limiter: Pick<Limiter, 'admit'>
  readonly people: Pick<People, 'authenticate'>
  readonly breakGlass: BreakGlassRecord
  readonly crossOrigin: CrossOrigin
  readonly stepUp: () => StepUp
  /** Rejects when this node should get no traffic (database away or not migrated). */
  readonly ready: () => Promise<Readiness>
  /** Takes requests of the data plane before Fastify sees them: true when taken. Never throws; answers its own failures. */
  readonly dataPlane: (request: IncomingMessage, response: ServerResponse) => boolean
  /** Adds the control plane's operations and the connect pages. Every route needs an access declaration. */
  readonly register: (app: FastifyInstance) => void | Promise<void>
  /** The console's built files; may not exist yet. */
  readonly consoleFolder: string
}

export interface HttpServer {
  readonly app: FastifyInstance
  /** Resolves with the port (useful when `port` is 0). Rejects with node's error (`EADDRINUSE`, `EACCES`, ...). */
  listen(port: number, host: string): Promise<number>
  /** `/readyz` says no from now on, and everything is served as before: whoever sends traffic has time to send it elsewhere. */
  announceEnd(): void
  /** New requests are refused with 503 and `/readyz` says no; the port stays open until `close`. */
  startDraining(): void
  /** Drains, waits for running requests at most `timeoutMs`, cuts the rest, ends Fastify. True when nothing was cut. */
  close(timeoutMs: number): Promise<boolean>
}

/** Builds the server; nothing listens yet. @throws TypeError for a route that declares no access or an impossible one. */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const headers = transportHeaders(options.publicUrl)
  const proxies = trustedProxies(options.trustedProxies)
  const cameByPlainHttp = options.requireTls === true ? createPlainHttpGuard(proxies, headers) : () => false
  let ending = false
  const health = createHealthListener({ ready: options.ready, draining: () => ending || base.draining, headers })
  let controlPlane: (request: IncomingMessage, response: ServerResponse) => void
  const refusesKey = createKeyDoor({
    keys: options.keys,
    trustedProxies: proxies,
    sessionCookie: sessionCookieName(new URL(options.publicUrl).protocol === 'https:'),
    headers,
    logger: options.logger,
  })
  const requests = (request: IncomingMessage, response: ServerResponse): void => {
    if (
      !health(request, response) &&
      !cameByPlainHttp(request, response) &&
      !options.crossOrigin.preflight(request, response) &&
      !options.dataPlane(request, response) &&
      !refusesKey(request, response)
    )
      controlPlane(request, response)
  }
  const base = createDrainingServer(
    { whileDraining: health, requests, headers, addressGroup: (peer) => (isTrustedPeer(peer, proxies) ? undefined : addressGroup(peer)) },
    { ...DEFAULT_SERVER_LIMITS, ...options.limits },
    options.certificate,
  )
  const app = createApp(options, (handler) => {
    controlPlane = handler
    return base.server
  })
  await furnish(app, options)
  await app.ready()
  return {
    app,
    listen: (port, host) => listen(base.server, port, host),
    announceEnd: () => (ending = true),
    startDraining: () => base.startDraining(),
    close: async (timeoutMs) => {
      base.startDraining()
      const whole = await base.close(timeoutMs)
      await app.close()
      return whole
    },
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

function createApp(
  options: HttpServerOptions,
  serverFactory: (handler: Handler) => ReturnType<typeof createDrainingServer>['server'],
): FastifyInstance {
  const app = Fastify({
    serverFactory,
    logger: false,
    genReqId: () => formatId('req', newId('req')),
    requestIdHeader: false,
    trustProxy: false,
    routerOptions: { maxParamLength: 3072, ignoreTrailingSlash: false, caseSensitive: true },
    // Answered by the node server underneath.
    clientErrorHandler: () => undefined,
    frameworkErrors: (error, request, reply) => sendFailure(error, request, reply, options.logger),
  })
  // Before any route: a validation error would be a 500 otherwise.
  app.setErrorHandler((error, request, reply) => sendFailure(error, request, reply, options.logger))
  app.setNotFoundHandler((request, reply) => {
    const allowed = allowedMethods(request.url.split('?', 1)[0]!)
    if (allowed.length === 0) throw notFound()
    void reply.header('allow', allowed.join(', '))
    throw new ProblemError('method_not_allowed', `This path takes ${allowed.join(', ')}.`)
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => parseJsonBody(body))
  return app
}

async function furnish(app: FastifyInstance, options: HttpServerOptions): Promise<void> {
  const { origin, protocol } = new URL(options.publicUrl)
  guardRoutes(app)
  await addSecurityHeaders(app, protocol === 'https:')
  await app.register(cookie)
  await collectOpenApi(app, options.publicUrl)
  guardRequests(app, {
    keys: options.keys,
    keyGuard: options.keyGuard,
    keyUses: options.keyUses,
    sessions: options.sessions,
    limiter: options.limiter,
    people: options.people,
    breakGlass: options.breakGlass,
    crossOrigin: options.crossOrigin,
    trustedProxies: trustedProxies(options.trustedProxies),
    stepUp: options.stepUp,
    origin,
    sessionCookie: sessionCookieName(protocol === 'https:'),
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, id } = request
    options.logger.debug('request answered', {
      request: id,
      method,
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: reply.elapsedTime,
    })
  })
  await options.register(app)
  await serveReference(app)
  await serveConsole(app, options.consoleFolder, options.publicUrl)
}

/** The one way a failure leaves Fastify. What the caller is not told, the log is. */
function sendFailure(thrown: unknown, request: FastifyRequest, reply: FastifyReply, logger: Logger): void {
  // Whoever goes away in the middle of a request is no failure of ours, and nobody is left to read the answer.
  const gone = request.raw.destroyed && !request.raw.complete
  const error = gone ? new ProblemError('bad_request', 'The request broke off.', { cause: thrown }) : thrown
  const problem = problemFor(error, request.id)
  const fields = { request: request.id, method: request.method, route: request.routeOptions.url, code: problem.code, error }
  if (problem.status >= 500) logger.error('request failed', fields)
  else logger.debug('request refused', fields)
  reply.code(problem.status).headers(problemHeaders(problem, error, request.id))
  // A body that was not read is not worth reading: the connection ends instead.
  if (!request.raw.complete) reply.header('connection', 'close')
  reply.serializer(String).send(JSON.stringify(problem))
}

const PATTERNS = Object.values<Operation>(operations).map(({ method, path }) => ({
  method,
  pattern: new RegExp(`^${path.replace(/\{\w+\}/gu, '[^/]+')}$`, 'u'),
}))

/** Methods that the contract has for a path; empty for a path it doesn't have. */
function allowedMethods(path: string): string[] {
  const methods = PATTERNS.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)
  return [...new Set<string>(methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method])))]
}

function listen(server: ReturnType<typeof createDrainingServer>['server'], port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}
