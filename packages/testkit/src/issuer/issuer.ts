/**
 * Owns an authorization server on loopback that can be told to misbehave, one way at a time, and that writes down what it was asked. It signs
 * its person in without a page: the authorization endpoint redirects at once. Refuses, as long as it is lawful, wrong clients, redirect URIs,
 * used codes and wrong verifiers.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LAWFUL } from './behaviour.ts'
import type { IssuerBehaviour, TokenBehaviour } from './behaviour.ts'

export interface Issuer {
  readonly origin: string
  readonly clientId: string
  readonly clientSecret: string
  /** All four, for a provider's overlay. */
  readonly endpoints: {
    readonly authorizationEndpoint: string
    readonly tokenEndpoint: string
    readonly userinfoEndpoint: string
    readonly apiBase: string
  }
  /** What the authorization endpoint was asked, oldest first. */
  readonly authorizations: readonly URLSearchParams[]
  /** What the token endpoint was asked, oldest first, answered or not. */
  readonly exchanges: readonly URLSearchParams[]
  /** Access tokens it gave out. */
  readonly tokens: readonly string[]
  /** Changes the behaviour from the next request on; what is not named becomes lawful again. */
  behave(behaviour?: Partial<IssuerBehaviour>): void
  close(): Promise<void>
}

interface Grant {
  readonly redirectUri: string
  readonly challenge: string | null
  readonly scope: string
}

export async function startIssuer(): Promise<Issuer> {
  const desk = new Desk()
  const server = createServer((request, response) => void desk.serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  desk.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin: desk.origin,
    clientId: desk.clientId,
    clientSecret: desk.clientSecret,
    endpoints: {
      authorizationEndpoint: `${desk.origin}/authorize`,
      tokenEndpoint: `${desk.origin}/token`,
      userinfoEndpoint: `${desk.origin}/user`,
      apiBase: `${desk.origin}/api`,
    },
    authorizations: desk.authorizations,
    exchanges: desk.exchanges,
    tokens: desk.tokens,
    behave: (behaviour = {}) => {
      desk.behaviour = { ...LAWFUL, ...behaviour }
    },
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

class Desk {
  origin = ''
  behaviour = LAWFUL
  readonly clientId = 'test-issuer-client'
  readonly clientSecret = `not-a-secret-${randomBytes(8).toString('hex')}`
  readonly authorizations: URLSearchParams[] = []
  readonly exchanges: URLSearchParams[] = []
  readonly tokens: string[] = []
  readonly #grants = new Map<string, Grant>()

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin)
    if (url.pathname === '/authorize') return this.#authorize(url.searchParams, response)
    if (url.pathname === '/token') return this.#token(request, new URLSearchParams(await text(request)), response)
    if (url.pathname === '/user') return this.#user(request, response)
    json(response, 404, { message: 'no such place' })
  }

  #authorize(asked: URLSearchParams, response: ServerResponse): void {
    this.authorizations.push(asked)
    const redirectUri = asked.get('redirect_uri')
    if (asked.get('client_id') !== this.clientId || asked.get('response_type') !== 'code' || redirectUri === null)
      return json(response, 400, { error: 'invalid_request' })
    if (this.behaviour.pkce === 'required' && asked.get('code_challenge_method') !== 'S256')
      return json(response, 400, { error: 'invalid_request' })
    const code = randomBytes(16).toString('base64url')
    this.#grants.set(code, { redirectUri, challenge: asked.get('code_challenge'), scope: asked.get('scope') ?? '' })
    const target = new URL(redirectUri)
    for (const [name, value] of this.#answer(code, asked.get('state') ?? '')) target.searchParams.append(name, value)
    response.writeHead(302, { location: target.href }).end()
  }

  #answer(code: string, state: string): [name: string, value: string][] {
    const { answer, iss } = this.behaviour
    const issuers = { right: [this.origin], wrong: ['https://other.example'], absent: [], twice: [this.origin, this.origin] }[iss]
    const said = issuers.map((value): [string, string] => ['iss', value])
    if (typeof answer === 'object')
      return [['state', state], ['error', answer.error], ['error_description', answer.description ?? ''], ...said]
    const parts: Record<Exclude<typeof answer, object>, [string, string][]> = {
      code: [
        ['code', code],
        ['state', state],
      ],
      two_codes: [
        ['code', code],
        ['code', 'planted'],
        ['state', state],
      ],
      two_states: [
        ['code', code],
        ['state', state],
        ['state', 'planted'],
      ],
      code_and_error: [
        ['code', code],
        ['error', 'access_denied'],
        ['state', state],
      ],
      neither: [['state', state]],
    }
    return [...parts[answer], ...said]
  }

  async #token(request: IncomingMessage, form: URLSearchParams, response: ServerResponse): Promise<void> {
    this.exchanges.push(form)
    await this.behaviour.meanwhile()
    if (!this.#isClient(request, form))
      return json(response, 401, { error: 'invalid_client' }, { 'www-authenticate': 'Basic realm="issuer"' })
    const code = form.get('code') ?? ''
    const grant = this.#grants.get(code)
    this.#grants.delete(code)
    if (grant === undefined || grant.redirectUri !== form.get('redirect_uri') || !this.#verifies(grant, form)) {
      return json(response, 400, { error: 'invalid_grant', error_description: '<script>alert(1)</script>' })
    }
    this.#answerToken(this.behaviour.token, this.#issue(grant), request, response)
  }

  #issue(grant: Grant): Record<string, unknown> {
    const token = `issued-${randomBytes(24).toString('base64url')}`
    this.tokens.push(token)
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: 3600,
      scope: grant.scope,
      refresh_token: `refresh-${randomBytes(24).toString('base64url')}`,
      ...this.behaviour.members,
    }
  }

  #answerToken(how: TokenBehaviour, members: Record<string, unknown>, request: IncomingMessage, response: ServerResponse): void {
    const answers: Record<TokenBehaviour, () => void> = {
      json: () => json(response, 200, members),
      form: () => {
        const entries = Object.entries(members).filter(([, value]) => value !== undefined)
        send(
          response,
          200,
          'application/x-www-form-urlencoded',
          new URLSearchParams(entries.map(([name, value]): [string, string] => [name, String(value)])).toString(),
        )
      },
      html: () => send(response, 200, 'text/html', '<h1>Welcome</h1>'),
      error_page: () => send(response, 500, 'text/html', '<h1>Sorry</h1>'),
      error_in_success: () => json(response, 200, { error: 'bad_verification_code', error_description: 'The code is wrong.' }),
      invalid_client: () => json(response, 401, { error: 'invalid_client' }, { 'www-authenticate': 'Basic realm="issuer"' }),
      redirect: () => void response.writeHead(302, { location: `${this.origin}/elsewhere` }).end(),
      reset: () => void request.socket.resetAndDestroy(),
      truncated: () => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '4096' })
        response.write(JSON.stringify(members).slice(0, 20), () => request.socket.resetAndDestroy())
      },
      endless: () => send(response, 200, 'application/json', JSON.stringify({ ...members, filler: 'x'.repeat(2 * 1024 * 1024) })),
    }
    answers[how]()
  }

  #user(request: IncomingMessage, response: ServerResponse): void {
    const token = /^Bearer (\S+)$/u.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined || !this.tokens.includes(token) || this.behaviour.userinfo === 'unauthorized')
      return json(response, 401, { message: 'Bad credentials' })
    const { userinfo, account } = this.behaviour
    if (userinfo === 'html') return send(response, 200, 'text/html', '<h1>Hello</h1>')
    if (userinfo === 'reset') return void request.socket.resetAndDestroy()
    json(response, 200, userinfo === 'no_id' ? { login: account.login } : account)
  }

  #isClient(request: IncomingMessage, form: URLSearchParams): boolean {
    const basic = /^Basic (.+)$/u.exec(request.headers.authorization ?? '')?.[1]
    const [id, secret] =
      basic === undefined
        ? [form.get('client_id'), form.get('client_secret')]
        : Buffer.from(basic, 'base64').toString('utf8').split(':').map(decodeURIComponent)
    return id === this.clientId && secret === this.clientSecret
  }

  #verifies({ challenge }: Grant, form: URLSearchParams): boolean {
    if (this.behaviour.pkce === 'ignored') return true
    return (
      createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url') === challenge
    )
  }
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  send(response, status, 'application/json', JSON.stringify(body), headers)
}

function send(response: ServerResponse, status: number, type: string, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': type, ...headers }).end(body)
}
