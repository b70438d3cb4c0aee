/**
 * The strict front of one emulated provider. The emulator takes any bearer token and leaves PKCE to chance; this front takes only tokens that
 * it handed out itself, makes PKCE S256 the only way to get one, and gives every code and every sign-in page one use. What it has no opinion
 * on it relays untouched. It refuses redirect URIs off this machine: a sandbox sends nobody anywhere else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { SingleUseTable, type AuthorizationRequest, type PendingCode } from './consent.ts'
import type { Grant, GrantBook } from './grants.ts'
import { isS256Challenge, verifierMatches } from './pkce.ts'
import { basicClient, json, type Answer, type Consent, type Provider, type TokenAnswer } from './provider.ts'
import { BodyTooLarge, readText, type Upstream } from './upstream.ts'

const MAX_FORM_BYTES = 64 * 1024
const FORM = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }

export interface FrontOptions {
  provider: Provider
  book: GrantBook
  upstream: Upstream
  /** The one redirect URI the emulator knows. Nobody is sent there: the front puts the application's own in its place. */
  upstreamRedirectUri: string
  now: () => number
}

export class Front {
  readonly #provider: Provider
  readonly #book: GrantBook
  readonly #upstream: Upstream
  readonly #upstreamRedirectUri: string
  readonly #now: () => number
  readonly #requests: SingleUseTable<AuthorizationRequest>
  readonly #codes: SingleUseTable<PendingCode>
  /** The emulator's own tokens behind each grant. Absent after a restart, and then obtained anew by the first call that needs them. */
  readonly #sessions = new WeakMap<Grant, Promise<TokenAnswer>>()

  constructor(options: FrontOptions) {
    this.#provider = options.provider
    this.#book = options.book
    this.#upstream = options.upstream
    this.#upstreamRedirectUri = options.upstreamRedirectUri
    this.#now = options.now
    this.#requests = new SingleUseTable(options.now)
    this.#codes = new SingleUseTable(options.now)
  }

  /** Answers one request. Never rejects: what cannot be answered otherwise is a 502, or a cut connection once the answer has begun. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const answer = await this.#answer(request, response)
      if (answer !== undefined) send(response, answer)
    } catch (error) {
      if (response.headersSent) response.destroy()
      else if (error instanceof BodyTooLarge) send(response, json(413, { message: error.message }))
      else send(response, json(502, { message: 'The sandbox provider did not answer.' }))
    }
  }

  /** Gives the answer, or undefined when it was streamed already. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { paths, revocationAt } = this.#provider
    const url = new URL(request.url ?? '/', 'http://sandbox.invalid')
    const path = url.pathname
    const method = request.method ?? 'GET'
    if (path === paths.authorize) return await this.#authorize(url.searchParams)
    if (path === paths.approve && method === 'POST') return await this.#approve(await readForm(request))
    if (path === paths.token && method === 'POST') return await this.#token(request)
    if (revocationAt.path.test(path) && method === revocationAt.method) return await this.#revoke(request, path)
    if (this.#provider.closed(method, path)) return json(404, { message: 'Not Found' })
    return await this.#api(request, response, path)
  }

  /** RFC 6749 section 4.1.1. An unknown client or a foreign redirect URI is told to the person, never redirected (section 4.1.2.1). */
  async #authorize(query: URLSearchParams): Promise<Answer> {
    const repeated = [...query.keys()].find((name) => query.getAll(name).length > 1)
    if (repeated !== undefined) return page(400, 'A parameter was sent more than once.')
    if (query.get('client_id') !== this.#provider.client.id) return page(400, 'The client_id is not registered with this sandbox.')
    const redirectUri = query.get('redirect_uri')
    if (redirectUri === null || !isLoopbackRedirect(redirectUri)) return page(400, 'The redirect_uri must be http on this machine.')
    const fault = this.#authorizationFault(query)
    if (fault !== undefined) return redirect(redirectUri, { ...fault, state: query.get('state') })

    const scope = query.get('scope') ?? ''
    const id = this.#requests.add({
      clientId: this.#provider.client.id,
      redirectUri,
      scope,
      state: query.get('state'),
      challenge: query.get('code_challenge') ?? '',
      offline: query.get('access_type') === 'offline',
      nonce: query.get('nonce') ?? '',
    })
    return await this.#signInPage({
      client_id: this.#provider.client.id,
      redirect_uri: this.#upstreamRedirectUri,
      response_type: 'code',
      scope,
      state: id,
    })
  }

  /** The first fault that the application may be told of by redirect (RFC 7636 section 4.4.1 for the missing or plain challenge). */
  #authorizationFault(query: URLSearchParams): Record<string, string> | undefined {
    const type = query.get('response_type') ?? (this.#provider.strictParameters ? null : 'code')
    if (type !== 'code') return { error: 'unsupported_response_type' }
    if (isS256Challenge(query.get('code_challenge'), query.get('code_challenge_method'))) return undefined
    return { error: 'invalid_request', error_description: 'PKCE with code_challenge_method S256 is required.' }
  }

  async #signInPage(query: Record<string, string>): Promise<Answer> {
    const answer = await this.#upstream.ask('GET', `${this.#provider.paths.authorize}?${new URLSearchParams(query).toString()}`, {})
    return {
      status: answer.status,
      headers: { 'content-type': answer.headers['content-type'] ?? 'text/html; charset=utf-8', 'cache-control': 'no-store' },
      body: this.#withOwnAccounts(answer.body),
    }
  }

  /** The emulator also offers accounts of its own making; the page shows only those that this sandbox seeds. */
  #withOwnAccounts(html: string): string {
    const own = this.#provider.users.map((user) => `name="${this.#provider.userField}" value="${user}"`)
    return html.replace(/<form\b[\s\S]*?<\/form>/g, (form) => (own.some((field) => form.includes(field)) ? form : ''))
  }

  /** A person chose an account on the sign-in page. `state` is the front's own request id: nothing else in the form is believed. */
  async #approve(form: URLSearchParams): Promise<Answer> {
    const request = this.#requests.take(form.get('state') ?? '')
    if (request === undefined) return page(400, 'This sign-in page was used already, or has lapsed. Start again from the application.')
    const user = form.get(this.#provider.userField) ?? ''
    if (!this.#provider.users.includes(user)) return page(400, 'There is no such account in this sandbox.')
    const { clientId, scope, offline, nonce, redirectUri, challenge, state } = request
    const consent = { user, scope, clientId, offline }
    const code = await this.#upstreamCode(consent, nonce)
    this.#codes.put(code, { consent, redirectUri, challenge })
    return redirect(redirectUri, { code, state })
  }

  /** RFC 6749 sections 4.1.3 and 6. */
  async #token(request: IncomingMessage): Promise<Answer> {
    const form = await readForm(request)
    const client = basicClient(request.headers.authorization) ?? {
      id: form.get('client_id') ?? '',
      secret: form.get('client_secret') ?? '',
    }
    if (!this.#isClient(client)) return this.#provider.refuse('bad_client')
    const grantType = form.get('grant_type') ?? (this.#provider.strictParameters ? '' : 'authorization_code')
    if (grantType === 'authorization_code') return await this.#exchange(form, request.headers.accept ?? '')
    if (grantType === 'refresh_token' && this.#provider.refreshes) return await this.#refresh(form, request.headers.accept ?? '')
    return this.#provider.refuse('bad_grant_type')
  }

  async #exchange(form: URLSearchParams, accept: string): Promise<Answer> {
    const code = form.get('code') ?? ''
    // Taken before anything is checked: a code that was shown once with a wrong verifier is spent.
    const pending = this.#codes.take(code)
    if (pending === undefined) return this.#provider.refuse('bad_code')
    const redirectUri = form.get('redirect_uri') ?? (this.#provider.strictParameters ? null : pending.redirectUri)
    if (redirectUri !== pending.redirectUri) return this.#provider.refuse('bad_redirect')
    if (!verifierMatches(form.get('code_verifier'), pending.challenge)) return this.#provider.refuse('bad_verifier')

    const answer = await this.#upstreamExchange(code)
    const grant: Grant = { ...pending.consent, provider: this.#provider.name, tokens: [] }
    this.#sessions.set(grant, Promise.resolve(answer))
    this.#book.add(grant)
    return await this.#issue(grant, answer, accept)
  }

  async #refresh(form: URLSearchParams, accept: string): Promise<Answer> {
    const grant = this.#book.find(this.#provider.name, 'refresh', form.get('refresh_token') ?? '', this.#now())
    if (grant === undefined) return this.#provider.refuse('bad_refresh_token')
    const session = await this.#session(grant)
    const answer = await this.#upstreamToken({ grant_type: 'refresh_token', refresh_token: session.refresh_token ?? '' })
    return await this.#issue(grant, answer, accept)
  }

  /** Books the tokens, waits until the book is kept, and only then hands them out. */
  async #issue(grant: Grant, answer: TokenAnswer, accept: string): Promise<Answer> {
    this.#book.issue(grant, 'access', answer.access_token, answer.expires_in, this.#now())
    if (answer.refresh_token !== undefined && grant.offline)
      this.#book.issue(grant, 'refresh', answer.refresh_token, undefined, this.#now())
    await this.#book.save()
    return this.#provider.tokenAnswer(answer, grant, accept)
  }

  /** Google takes either token (RFC 7009); GitHub wants the client's credentials and an access token. */
  async #revoke(request: IncomingMessage, path: string): Promise<Answer> {
    const revocation = this.#provider.readRevocation(request, path, await readText(request, MAX_FORM_BYTES))
    if (revocation.client !== undefined && !this.#isClient(revocation.client)) return this.#provider.unauthorized
    const grant =
      this.#book.find(this.#provider.name, 'access', revocation.token, this.#now()) ??
      this.#book.find(this.#provider.name, 'refresh', revocation.token, this.#now())
    if (grant === undefined) return this.#provider.unknownRevocation
    if (revocation.whole) this.#book.forgetUser(grant)
    else this.#book.forgetToken(grant, revocation.token)
    await this.#book.save()
    return this.#provider.revoked
  }

  /** A call to the API itself: no token is passed on as none, a token of ours as the emulator's, any other is refused here. */
  async #api(request: IncomingMessage, response: ServerResponse, path: string): Promise<Answer | undefined> {
    const header = request.headers.authorization
    let authorization: string | undefined
    if (header !== undefined) {
      const token = /^(?:Bearer|token) ([^\s]+)$/i.exec(header)?.[1] ?? ''
      const grant = this.#book.find(this.#provider.name, 'access', token, this.#now())
      if (grant === undefined) return this.#provider.unauthorized
      authorization = `Bearer ${(await this.#session(grant)).access_token}`
    }
    const correct = this.#provider.corrections[path]
    if (correct !== undefined && request.method === 'GET') return await this.#corrected(path, authorization, correct)
    await this.#upstream.relay(request, response, authorization)
    return undefined
  }

  async #corrected(
    path: string,
    authorization: string | undefined,
    correct: (body: Record<string, unknown>) => Record<string, unknown>,
  ): Promise<Answer> {
    const answer = await this.#upstream.ask('GET', path, authorization === undefined ? {} : { authorization })
    const body = JSON.parse(answer.body) as Record<string, unknown>
    return json(answer.status, answer.status === 200 ? correct(body) : body)
  }

  /** The emulator's tokens for a grant. Concurrent callers share one sign-in; a failed one is tried again by the next call. */
  #session(grant: Grant): Promise<TokenAnswer> {
    const known = this.#sessions.get(grant)
    if (known !== undefined) return known
    const session = this.#upstreamCode(grant, '').then((code) => this.#upstreamExchange(code))
    this.#sessions.set(grant, session)
    session.catch(() => this.#sessions.delete(grant))
    return session
  }

  /** Signs `consent.user` in at the emulator and gives its authorization code. */
  async #upstreamCode(consent: Consent, nonce: string): Promise<string> {
    const form = {
      [this.#provider.userField]: consent.user,
      redirect_uri: this.#upstreamRedirectUri,
      scope: consent.scope,
      state: '',
      nonce,
      client_id: consent.clientId,
    }
    const answer = await this.#upstream.ask('POST', this.#provider.paths.approve, FORM, new URLSearchParams(form).toString())
    const code = new URL(answer.headers.location ?? '', this.#upstreamRedirectUri).searchParams.get('code')
    if (code === null) throw new Error('The emulator gave no authorization code.')
    return code
  }

  #upstreamExchange(code: string): Promise<TokenAnswer> {
    return this.#upstreamToken({ grant_type: 'authorization_code', code, redirect_uri: this.#upstreamRedirectUri })
  }

  async #upstreamToken(parameters: Record<string, string>): Promise<TokenAnswer> {
    const { id, secret } = this.#provider.client
    const form = new URLSearchParams({ ...parameters, client_id: id, client_secret: secret })
    const answer = await this.#upstream.ask('POST', this.#provider.paths.token, FORM, form.toString())
    const body = JSON.parse(answer.body) as Partial<TokenAnswer>
    if (typeof body.access_token !== 'string') throw new Error('The emulator gave no access token.')
    return body as TokenAnswer
  }

  #isClient(client: { id: string; secret: string }): boolean {
    return client.id === this.#provider.client.id && client.secret === this.#provider.client.secret
  }
}

/** Reads a form body, or a JSON object in its place as GitHub allows. @throws BodyTooLarge over 64 KiB. */
async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const text = await readText(request, MAX_FORM_BYTES)
  if (!(request.headers['content-type'] ?? '').includes('application/json')) return new URLSearchParams(text)
  try {
    const fields = Object.entries(JSON.parse(text) as Record<string, unknown>)
    return new URLSearchParams(fields.filter((field): field is [string, string] => typeof field[1] === 'string'))
  } catch {
    // Not an object: no field was sent, and each endpoint says which one it misses.
    return new URLSearchParams()
  }
}

/** Plain http to this machine, any port and path; no user info, no fragment (RFC 8252 section 7.3). */
function isLoopbackRedirect(uri: string): boolean {
  if (!URL.canParse(uri)) return false
  const { protocol, hostname, username, password, hash } = new URL(uri)
  const loopback = hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]'
  return protocol === 'http:' && loopback && username === '' && password === '' && hash === ''
}

function redirect(uri: string, parameters: Record<string, string | null>): Answer {
  const target = new URL(uri)
  for (const [name, value] of Object.entries(parameters)) if (value !== null) target.searchParams.set(name, value)
  return { status: 302, headers: { location: target.href, 'cache-control': 'no-store' }, body: '' }
}

/** `text` is always ours: nothing that came with the request is shown. */
function page(status: number, text: string): Answer {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
    body: `<!doctype html><html lang="en"><title>Sandbox</title><h1>Sandbox</h1><p>${text}</p></html>`,
  }
}

function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, { ...answer.headers, 'content-length': Buffer.byteLength(answer.body) })
  response.end(answer.body)
}
