/**
 * Owns what happens to a control plane request before anything of its body is read: one credential, the same-site rule, who it
 * is, whether it asks too often, and whether it may. Refuses in that order, so that a stranger learns nothing and costs nothing.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RouteAccess } from '@sallyport/contract'
import { decide } from '../access/index.ts'
import type { AccessPlace, DenialCode, StepUp } from '../access/index.ts'
import type { KeyGuard } from '../binding/index.ts'
import type { BreakGlassRecord, KeyAuthenticator, KeyPrincipal, KeyUses, People, Principal, Sessions } from '../identity/index.ts'
import { fieldsOf } from '../limits/index.ts'
import type { Limiter } from '../limits/index.ts'
import { clientAddress, rawValues } from './client-address.ts'
import type { TrustedProxies } from './client-address.ts'
import type { CrossOrigin } from './cross-origin.ts'
import { credentialOf } from './credentials.ts'
import type { Credential } from './credentials.ts'
import { notFound, ProblemError, stepUpRequired } from './problem.ts'
import { pathIds } from './tenant-path.ts'
import type { PathIds } from './tenant-path.ts'

/** What the guard found out. Handlers read the caller from here and nowhere else. */
export interface Caller {
  /** Absent on public routes. */
  readonly principal: Principal | undefined
  /** Of the client, as far as trusted proxies vouch for it. */
  readonly address: string
  readonly ids: Partial<PathIds>
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

export interface GuardOptions {
  readonly keys: Pick<KeyAuthenticator, 'cached' | 'authenticate'>
  readonly keyGuard: Pick<KeyGuard, 'admit'>
  readonly keyUses: Pick<KeyUses, 'note'>
  readonly sessions: Pick<Sessions, 'lookup'>
  readonly limiter: Pick<Limiter, 'admit'>
  readonly people: Pick<People, 'authenticate'>
  readonly breakGlass: BreakGlassRecord
  readonly crossOrigin: Pick<CrossOrigin, 'answerFor'>
  readonly trustedProxies: TrustedProxies
  readonly stepUp: () => StepUp
  /** Origin of the public address: the one site whose pages may act through the session cookie. */
  readonly origin: string
  readonly sessionCookie: string
}

const NOBODY: Caller = { principal: undefined, address: '', ids: {} }

/** Puts the guard before every route. Routes of the scope must have been declared through `guardRoutes`. */
export function guardRequests(app: FastifyInstance, options: GuardOptions): void {
  app.decorateRequest('caller')
  app.addHook('onRequest', async (request, reply) => {
    const { access } = request.routeOptions.config
    request.caller = access === undefined ? NOBODY : await admit(request, reply, access, options)
  })
}

async function admit(request: FastifyRequest, reply: FastifyReply, access: RouteAccess, options: GuardOptions): Promise<Caller> {
  const address = addressOf(request, options.trustedProxies)
  const credential = access.audience === 'public' ? NONE : credentialOf(request.raw.rawHeaders, request.url, options.sessionCookie)
  refuseCrossSite(request, credential, options.origin)
  const principal = access.audience === 'public' ? undefined : await identify(request, credential, address, options)
  // Every answer depends on who asks: a page that may read it, or none.
  reply.header('vary', 'Origin')
  if (principal?.kind === 'key' && principal.project !== null) {
    const { org, project } = principal
    reply.headers((await options.crossOrigin.answerFor(request.raw.rawHeaders, { org, project })) ?? {})
  }
  // Before anything is decided or read: a refusal counts as well.
  if (principal !== undefined) reply.headers(fieldsOf(await options.limiter.admit(principal)))
  const ids = access.audience === 'public' ? {} : pathIds(request.params)
  if (principal !== undefined) authorize(principal, access, ids, options.stepUp())
  if (principal !== undefined && access.audience === 'tenant' && ids.org !== undefined)
    await options.breakGlass.note(principal, ids.org, address)
  refuseUntakenBody(request, access)
  return { principal, address, ids }
}

const NONE: Credential = { kind: 'none' }

/** The client's address of any node request; the data plane's failure buckets use it too. */
export function addressOf(request: Pick<FastifyRequest, 'raw'>, trusted: TrustedProxies): string {
  return clientAddress(request.raw.socket.remoteAddress ?? '', rawValues(request.raw.rawHeaders, 'x-forwarded-for'), trusted)
}

async function identify(request: FastifyRequest, credential: Credential, address: string, options: GuardOptions): Promise<Principal> {
  const { keys, keyGuard, keyUses, sessions, people } = options
  if (credential.kind === 'key') {
    const text = credential.text.reveal()
    const principal = keys.cached(text) ?? (await keys.authenticate(text, address))
    await keyGuard.admit(principal, { request: request.raw, address, key: credential.text, asBound: credential.asBound })
    keyUses.note(principal.keyId)
    return principal
  }
  if (credential.kind === 'token') return people.authenticate(credential.token, address)
  const person = credential.kind === 'session' ? await sessions.lookup(credential.token, address) : undefined
  if (person === undefined)
    throw new ProblemError('unauthenticated', "Send a gateway key, or a configured issuer's token, as Authorization: Bearer, or sign in.")
  return person
}

function authorize(principal: Principal, access: RouteAccess, ids: AccessPlace, stepUp: StepUp): void {
  const decision = decide(principal, access, ids, stepUp)
  if (!decision.allowed) throw denial(decision.code, principal, access, stepUp)
}

function denial(code: DenialCode, principal: Principal, access: RouteAccess, stepUp: StepUp): ProblemError {
  if (code === 'not_found') return notFound()
  if (code === 'environment_mismatch') return new ProblemError(code, 'This key belongs to the other environment of the project.')
  if (code === 'insufficient_scope') return new ProblemError(code, `This needs a key with the scope ${access.scope ?? 'of another kind'}.`)
  if (code === 'sso_required') return new ProblemError(code, SSO_REQUIRED)
  if (code === 'step_up_required') return stepUpRequired(stepUp.maxAgeS)
  if (principal.kind === 'key') return new ProblemError(code, keyDenial(principal, access))
  return new ProblemError(
    code,
    access.role === undefined ? 'This is not for people.' : `This needs the role ${access.role} or a larger one.`,
  )
}

function keyDenial({ project }: KeyPrincipal, { scope, tenant }: RouteAccess): string {
  if (scope === undefined) return 'This is for people, and for no key.'
  if (tenant === 'org' && project !== null) return 'This takes a key of the organization, and this is one of a project.'
  if (tenant === 'environment') return 'This changes what other connections stand on, and takes a key that is bound to none.'
  return 'This changes what environments share, and takes a live key that is bound to no connection.'
}

const SSO_REQUIRED =
  'This organization takes people who signed in through its identity provider. Sign out, sign in there, and come with that session or token.'

/**
 * A browser sends the cookie whoever wrote the page, so a change through it must come from our own page: by `Origin`, else by
 * `Sec-Fetch-Site`, and with a body that no form can make. Signing in is held to it as well when a browser says where it comes from.
 */
function refuseCrossSite(request: FastifyRequest, credential: Credential, origin: string): void {
  const { operation } = request.routeOptions.config
  // Only a cookie comes by itself.
  if (
    operation === undefined ||
    credential.kind === 'key' ||
    credential.kind === 'token' ||
    request.method === 'GET' ||
    request.method === 'HEAD'
  )
    return
  const from = rawValues(request.raw.rawHeaders, 'origin')
  const site = request.headers['sec-fetch-site']
  const unsaid = from.length === 0 && site === undefined
  const ownPage = from.length === 0 ? site === 'same-origin' : from.length === 1 && from[0] === origin
  const ownBody = !hasBody(request) || mediaType(request) === 'application/json'
  if (credential.kind === 'session' ? ownPage && ownBody : ownPage || unsaid) return
  throw new ProblemError('cross_site_refused', 'With a console session, changes are taken only from the console itself, as JSON.')
}

/** 415 and 413 before a byte of the body is read (battery D-06, I-16). */
function refuseUntakenBody(request: FastifyRequest, access: RouteAccess): void {
  if (!hasBody(request)) return
  if (access.bodyLimit === 0) throw new ProblemError('payload_too_large', 'This operation takes no body.')
  if (request.routeOptions.config.operation === undefined) return
  const encoding = request.headers['content-encoding'] ?? 'identity'
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/iu.exec(request.headers['content-type'] ?? '')?.[1] ?? 'utf-8'
  if (mediaType(request) !== 'application/json' || charset.toLowerCase() !== 'utf-8' || encoding.toLowerCase() !== 'identity') {
    throw new ProblemError('unsupported_media_type', 'Send the body as application/json in UTF-8, without a content encoding.')
  }
}

function hasBody(request: FastifyRequest): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

function mediaType(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
}
