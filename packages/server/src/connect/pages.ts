/**
 * Owns the addresses that browsers visit while connecting, and what HTTP says there. Refuses to start anything on a GET (mail scanners and
 * link previews send those), forms from other pages, and failures told to people as JSON.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RouteAccess } from '@sallyport/contract'
import { formatId, Secret } from '@sallyport/core'
import { browserCookie, browserToken, formToken, isFormToken, newBrowserToken } from './browser.ts'
import { connectError, ConnectError } from './errors.ts'
import { beginAuthorization, finishAuthorization, openFlow, RefusedCallback } from './flow.ts'
import type { Flow } from './flow.ts'
import type { ConnectContext } from './options.ts'
import { askPage, codePage, donePage, errorPage } from './page.ts'
import type { Page } from './page.ts'
import { returnAddress } from './return-to.ts'
import type { Outcome } from './store.ts'

const VISIT: RouteAccess = { audience: 'public', tenant: 'none', audit: 'none', bodyLimit: 0 }
const BEGIN: RouteAccess = { audience: 'public', tenant: 'none', audit: 'connect_session.authorizing', bodyLimit: 4096 }
const FINISH: RouteAccess = { audience: 'public', tenant: 'none', audit: 'connection.authorized', bodyLimit: 0 }

type LinkRequest = FastifyRequest<{ Params: { token: string } }>
type CallbackRequest = FastifyRequest<{ Params: { context: string } }>

/** Adds the pages in a scope of their own, with the form parser and the error pages that only they use. */
export function registerPages(context: ConnectContext, app: FastifyInstance): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
      done(null, new URLSearchParams(String(body)))
    })
    scope.setErrorHandler((error, request, reply) => answerError(context, error, request, reply))
    // HEAD would run these handlers too, and a HEAD must not use up a state.
    scope.get('/connect/:token', { config: { access: VISIT }, exposeHeadRoute: false }, (request: LinkRequest, reply) =>
      showLink(context, request, reply),
    )
    scope.post('/connect/:token', { config: { access: BEGIN } }, (request: LinkRequest, reply) => submitLink(context, request, reply))
    scope.get('/oauth/cb/:context', { config: { access: FINISH }, exposeHeadRoute: false }, (request: CallbackRequest, reply) =>
      arrive(context, request, reply),
    )
  })
}

async function showLink(context: ConnectContext, request: LinkRequest, reply: FastifyReply): Promise<FastifyReply> {
  const link = new Secret(request.params.token)
  const flow = await openFlow(context, link)
  const known = browserToken(request.raw.rawHeaders, context.secure)
  const browser = known ?? newBrowserToken()
  if (known === undefined) reply.header('set-cookie', browserCookie(browser, context.secure))
  const { integration, project, provider, session } = flow
  return sendPage(
    reply,
    200,
    askPage({
      application: project.name,
      provider: provider.name,
      scopes: integration.scopes,
      environment: session.environment,
      reconnect: session.reconnect,
      formToken: formToken(browser, link),
      formOrigins: formOrigins(flow),
    }),
  )
}

/** A provider that was asked before may answer at once: then the form's redirects lead through it, back here, and on to the application. */
function formOrigins({ provider, session }: Flow): readonly string[] {
  const origins = [
    new URL(provider.oauth.authorizationEndpoint).origin,
    ...(session.returnTo === null ? [] : [new URL(session.returnTo).origin]),
  ]
  return [...new Set(origins)]
}

async function submitLink(context: ConnectContext, request: LinkRequest, reply: FastifyReply): Promise<FastifyReply> {
  const link = new Secret(request.params.token)
  const browser = requireOwnPage(context, request, link)
  const flow = await openFlow(context, link)
  const url = await beginAuthorization(context, flow, browser, request.raw.rawHeaders)
  // Set again, so that it outlives the state whenever the page was opened.
  return reply.header('set-cookie', browserCookie(browser, context.secure)).redirect(url, 303)
}

/**
 * The form must come from the page that this browser was shown. The token proves it; the two headers are a second word where a browser
 * sends them. `Origin: null` is what a no-referrer page sends.
 */
function requireOwnPage(context: ConnectContext, request: LinkRequest, link: Secret): Secret {
  const { origin, 'sec-fetch-site': site } = request.headers
  const foreign =
    (origin !== undefined && origin !== 'null' && origin !== new URL(context.publicUrl).origin) ||
    (site !== undefined && site !== 'same-origin')
  const browser = browserToken(request.raw.rawHeaders, context.secure)
  const given = request.body instanceof URLSearchParams ? request.body.getAll('form_token') : []
  if (foreign || browser === undefined || given.length !== 1 || !isFormToken(given[0]!, browser, link)) {
    throw new ConnectError('cross_site_refused', 'the connect form did not come from its own page')
  }
  return browser
}

async function arrive(context: ConnectContext, request: CallbackRequest, reply: FastifyReply): Promise<FastifyReply> {
  const { url = '', rawHeaders } = request.raw
  const { flow, outcome } = await finishAuthorization(context, {
    context: request.params.context,
    query: url.includes('?') ? url.slice(url.indexOf('?') + 1) : '',
    browser: browserToken(rawHeaders, context.secure),
    rawHeaders,
  })
  return answerOutcome(flow, outcome, reply)
}

function answerOutcome({ session, project, provider }: Flow, outcome: Outcome, reply: FastifyReply): FastifyReply {
  const names = { application: project.name, provider: provider.name }
  if (session.returnTo !== null) {
    const code = outcome.kind === 'awaiting' ? { connect_code: outcome.code.reveal() } : {}
    return reply.redirect(returnAddress(session.returnTo, { connect_session: formatId('cs', session.id), ...code }), 303)
  }
  if (outcome.kind === 'awaiting') return sendPage(reply, 200, codePage({ ...names, code: outcome.code.reveal() }))
  return sendPage(reply, 200, donePage({ ...names, missing: outcome.missing }))
}

/** For people unless JSON is asked for; what is not HTML goes on to the application's own error handler. */
function answerError(context: ConnectContext, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const flow = error instanceof RefusedCallback ? error.flow : undefined
  const reason = connectError(error instanceof RefusedCallback ? error.cause : error)
  if (wantsJson(request.headers.accept)) throw reason
  const problem = context.problemFor(reason, request.id)
  if (problem.code === 'internal') context.logger.error('a connect page failed', { request: request.id, error: reason })
  if (problem.status === 503) reply.header('retry-after', '1')
  const returnTo = flow?.session.returnTo ?? undefined
  const parameters = flow === undefined ? {} : { connect_session: formatId('cs', flow.session.id), connect_error: problem.code }
  const page = errorPage({
    title: problem.title,
    detail: problem.detail ?? 'Nothing was connected. Try again, or ask the application.',
    code: problem.code,
    requestId: request.id,
    returnTo: returnTo === undefined ? undefined : returnAddress(returnTo, parameters),
  })
  return sendPage(reply.header('sallyport-error-source', 'gateway'), problem.status, page)
}

function wantsJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/(?:problem\+)?json\b/iu.test(accept) && !/\btext\/html\b/iu.test(accept)
}

function sendPage(reply: FastifyReply, status: number, page: Page): FastifyReply {
  return reply
    .code(status)
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', page.contentSecurityPolicy)
    .header('cache-control', 'no-store')
    .header('referrer-policy', 'no-referrer')
    .header('x-content-type-options', 'nosniff')
    .send(page.body)
}
