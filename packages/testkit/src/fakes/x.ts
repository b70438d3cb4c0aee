/**
 * Owns an X on loopback: OAuth 2.0 for confidential and public clients, OAuth 1.0a with the signature checked, posts read and written, after
 * what X publishes (docs.x.com/fundamentals: authentication, rate limits, errors; docs.x.com/x-api/posts). Refuses what X refuses, in X's words.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { basicPair, bearer, json, startFakeServer } from './fake-server.ts'
import type { Asked, FakeServer, Said } from './fake-server.ts'
import type { FakeEndpoint } from './reddit.ts'

export interface FakeX extends FakeServer {
  readonly clientId: string
  /** Empty for a public client. */
  readonly clientSecret: string
  readonly endpoints: Readonly<Record<FakeEndpoint, string>>
  /** The application's keys for OAuth 1.0a. */
  readonly consumer: { readonly key: string; readonly secret: string }
  readonly oauth1: Readonly<Record<'temporaryCredentialEndpoint' | 'authorizationEndpoint' | 'tokenEndpoint', string>>
  /** The person's name. */
  readonly user: string
  /** The person agrees, by either protocol: where the browser is sent. @throws Error when X shows an error page instead. */
  readonly agree: (url: string) => string
  readonly deny: (url: string) => string
  /** Ends every access token of OAuth 2.0, as time would. */
  expireTokens(): void
  /** What is left of the window's requests from now on. */
  leave(requests: number): void
}

export interface FakeXOptions {
  readonly redirectUri: string
  /** `confidential` when absent: proves itself by Basic. A public one names itself in the body. */
  readonly client?: 'confidential' | 'public'
  /** Seconds that the token of a code lives; 7,200 when absent, as those of refreshes. */
  readonly firstLifeS?: number
  /** How many posts the person has. 3 when absent. */
  readonly posts?: number
}

interface Grant {
  readonly scopes: readonly string[]
}

interface Post {
  readonly id: string
  readonly text: string
  readonly author_id: string
  readonly created_at: string
}

const USER = { id: '2244994945', name: 'A Person', username: 'a_person' }
const ORIGIN_OF_TIME = Date.UTC(2024, 0, 1)
const LIFE_S = 7200
const WINDOW_S = 900
const SKEW_S = 300

export async function startFakeX(options: FakeXOptions): Promise<FakeX> {
  const x = new X(options)
  const server = await startFakeServer((asked) => x.answer(asked, server.origin))
  const at = (path: string): string => `${server.origin}${path}`
  return {
    ...server,
    clientId: x.clientId,
    clientSecret: x.clientSecret,
    endpoints: {
      authorizationEndpoint: at('/i/oauth2/authorize'),
      tokenEndpoint: at('/2/oauth2/token'),
      userinfoEndpoint: at('/2/users/me'),
      apiBase: at('/2'),
      revocationEndpoint: at('/2/oauth2/revoke'),
    },
    consumer: x.consumer,
    oauth1: {
      temporaryCredentialEndpoint: at('/oauth/request_token'),
      authorizationEndpoint: at('/oauth/authorize'),
      tokenEndpoint: at('/oauth/access_token'),
    },
    user: USER.username,
    agree: (url) => x.decide(url, true),
    deny: (url) => x.decide(url, false),
    expireTokens: () => x.expireTokens(),
    leave: (requests) => x.leave(requests),
  }
}

class X {
  readonly clientId = 'fake-X_client'
  readonly clientSecret: string
  readonly consumer = { key: 'fake-consumer', secret: `-not_a-secret${randomBytes(8).toString('hex')}` }
  readonly #redirectUri: string
  readonly #firstLifeS: number
  readonly #posts: Post[]
  readonly #codes = new Map<string, Grant & { readonly challenge: string; readonly method: string }>()
  readonly #access = new Map<string, Grant>()
  readonly #refresh = new Map<string, Grant>()
  readonly #signed: SignedRequests
  #left = 900

  constructor({ redirectUri, client = 'confidential', firstLifeS = LIFE_S, posts = 3 }: FakeXOptions) {
    this.#firstLifeS = firstLifeS
    this.#redirectUri = redirectUri
    this.clientSecret = client === 'public' ? '' : `-not_a-secret${randomBytes(8).toString('hex')}`
    this.#posts = Array.from({ length: posts }, (_, index) => postOf(index, `Post ${index}`))
    this.#signed = new SignedRequests(this.consumer, redirectUri)
  }

  answer(asked: Asked, origin: string): Said {
    const { pathname } = asked.url
    if (pathname === '/2/oauth2/token') return this.#asClient(asked, (form) => this.#token(form))
    if (pathname === '/2/oauth2/revoke') return this.#asClient(asked, (form) => this.#revoke(form))
    if (pathname === '/oauth/request_token') return this.#signed.temporary(asked, origin)
    if (pathname === '/oauth/access_token') return this.#signed.exchange(asked, origin)
    return this.#api(asked, origin)
  }

  decide(url: string, agrees: boolean): string {
    const { pathname, searchParams: asked } = new URL(url)
    if (pathname === '/oauth/authorize') return this.#signed.decide(asked.get('oauth_token') ?? '', agrees)
    const method = asked.get('code_challenge_method') ?? ''
    const right =
      asked.get('client_id') === this.clientId &&
      asked.get('redirect_uri') === this.#redirectUri &&
      asked.get('response_type') === 'code' &&
      (asked.get('state') ?? '') !== '' &&
      (asked.get('code_challenge') ?? '') !== '' &&
      ['S256', 'plain'].includes(method)
    if (!right) throw new Error('X shows a page: something went wrong')
    const back = new URL(this.#redirectUri)
    back.searchParams.set('state', asked.get('state')!)
    if (agrees) {
      const code = made('code')
      this.#codes.set(code, { scopes: (asked.get('scope') ?? '').split(' '), challenge: asked.get('code_challenge')!, method })
      back.searchParams.set('code', code)
    } else back.searchParams.set('error', 'access_denied')
    return back.href
  }

  expireTokens(): void {
    this.#access.clear()
  }

  leave(requests: number): void {
    this.#left = requests
  }

  #asClient(asked: Asked, go: (form: URLSearchParams) => Said): Said {
    const form = new URLSearchParams(asked.body)
    const [id, secret] = basicPair(asked) ?? []
    const proven =
      this.clientSecret === ''
        ? id === undefined && form.get('client_id') === this.clientId
        : id === this.clientId && secret === this.clientSecret
    if (!proven) return oauthError(401, 'unauthorized_client', 'Missing valid authorization header')
    return go(form)
  }

  #token(form: URLSearchParams): Said {
    if (form.get('grant_type') === 'refresh_token') {
      const shown = form.get('refresh_token') ?? ''
      const grant = this.#refresh.get(shown)
      // Good once; what was used, taken back or never given is the same to it.
      if (!this.#refresh.delete(shown) || grant === undefined)
        return oauthError(400, 'invalid_request', 'Value passed for the token was invalid.')
      return this.#given(grant.scopes)
    }
    if (form.get('grant_type') !== 'authorization_code')
      return oauthError(400, 'invalid_request', 'Value passed for the grant_type was invalid.')
    const code = form.get('code') ?? ''
    const agreed = this.#codes.get(code)
    this.#codes.delete(code)
    if (agreed === undefined || form.get('redirect_uri') !== this.#redirectUri)
      return oauthError(400, 'invalid_request', 'Value passed for the authorization code was invalid.')
    const verifier = form.get('code_verifier') ?? ''
    const shown = agreed.method === 'plain' ? verifier : createHash('sha256').update(verifier).digest('base64url')
    if (shown !== agreed.challenge)
      return oauthError(400, 'invalid_request', 'Value passed for the code verifier did not match the code challenge.')
    return this.#given(agreed.scopes, this.#firstLifeS)
  }

  #given(scopes: readonly string[], lifeS = LIFE_S): Said {
    const [access, refresh] = [made('access'), scopes.includes('offline.access') ? made('refresh') : undefined]
    this.#access.set(access, { scopes })
    if (refresh !== undefined) this.#refresh.set(refresh, { scopes })
    const members = { token_type: 'bearer', expires_in: lifeS, access_token: access, scope: scopes.join(' ') }
    return json(200, refresh === undefined ? members : { ...members, refresh_token: refresh })
  }

  #revoke(form: URLSearchParams): Said {
    const token = form.get('token') ?? ''
    this.#access.delete(token)
    this.#refresh.delete(token)
    return json(200, { revoked: true })
  }

  #api(asked: Asked, origin: string): Said {
    const scopes = this.#scopesOf(asked, origin)
    if (scopes === undefined) return problem(401, 'Unauthorized', 'Unauthorized')
    if (this.#left <= 0) return withQuota(problem(429, 'Too Many Requests', 'Too Many Requests'), 0)
    this.#left -= 1
    return withQuota(this.#resource(asked, scopes), this.#left)
  }

  /** A signed request may do all that the application's permission lets it. */
  #scopesOf(asked: Asked, origin: string): readonly string[] | undefined {
    if (this.#signed.isSigned(asked)) {
      return this.#signed.verify(asked, origin) ? ['tweet.read', 'tweet.write', 'users.read'] : undefined
    }
    return this.#access.get(bearer(asked) ?? '')?.scopes
  }

  #resource(asked: Asked, scopes: readonly string[]): Said {
    const { method, url } = asked
    const needs = (wanted: readonly string[], go: () => Said): Said =>
      wanted.every((scope) => scopes.includes(scope)) ? go() : problem(403, 'Forbidden', 'You are not permitted to perform this action.')
    const call = `${method} ${url.pathname}`
    if (call === 'GET /2/users/me') return needs(['tweet.read', 'users.read'], () => json(200, { data: USER }))
    if (call === `GET /2/users/${USER.id}/tweets`) return needs(['tweet.read', 'users.read'], () => this.#timeline(url.searchParams))
    if (call === 'POST /2/tweets') return needs(['tweet.read', 'tweet.write', 'users.read'], () => this.#write(asked.body))
    return problem(404, 'Not Found', 'Not Found')
  }

  #timeline(query: URLSearchParams): Said {
    const size = Number(query.get('max_results') ?? 10)
    if (!Number.isInteger(size) || size < 5 || size > 100) return invalid('max_results', query.get('max_results') ?? '')
    const start = Number(query.get('pagination_token')?.replace(/^page/u, '') ?? 0)
    const fields = new Set(['id', 'text', ...(query.get('tweet.fields') ?? '').split(',')])
    const shown = this.#posts.slice(start, start + size)
    // Without posts there is no list at all.
    if (shown.length === 0) return json(200, { meta: { result_count: 0 } })
    const data = shown.map((post) => Object.fromEntries(Object.entries(post).filter(([name]) => fields.has(name))))
    const next = start + size < this.#posts.length ? { next_token: `page${start + size}` } : {}
    return json(200, { data, meta: { result_count: shown.length, newest_id: shown[0]!.id, oldest_id: shown.at(-1)!.id, ...next } })
  }

  #write(body: string): Said {
    const text = memberOf(body, 'text')
    if (typeof text !== 'string' || text.length > 280) return invalid('text', '')
    if (this.#posts.some((post) => post.text === text))
      return problem(403, 'Forbidden', 'You are not allowed to create a Tweet with duplicate content.')
    const post = postOf(this.#posts.length, text)
    this.#posts.push(post)
    return json(201, { data: { id: post.id, text, edit_history_tweet_ids: [post.id] } })
  }
}

/** OAuth 1.0a (RFC 5849), checked by a reading of the RFC that shares nothing with the product's. */
class SignedRequests {
  readonly #consumer: { readonly key: string; readonly secret: string }
  readonly #callback: string
  /** Temporary and token credentials: secrets by token. */
  readonly #temporary = new Map<string, { readonly secret: string; readonly callback: string; verifier?: string }>()
  readonly #tokens = new Map<string, string>()
  readonly #nonces = new Set<string>()

  constructor(consumer: { readonly key: string; readonly secret: string }, callback: string) {
    this.#consumer = consumer
    this.#callback = callback
  }

  isSigned({ headers }: Asked): boolean {
    return headers.authorization?.startsWith('OAuth ') ?? false
  }

  verify(asked: Asked, origin: string): boolean {
    const fields = protocolFields(asked)
    const secret = this.#tokens.get(fields.get('oauth_token') ?? '')
    return secret !== undefined && this.#isRight(asked, origin, fields, secret)
  }

  temporary(asked: Asked, origin: string): Said {
    const fields = protocolFields(asked)
    if (!this.#isRight(asked, origin, fields, '')) return notAuthenticated()
    const callback = fields.get('oauth_callback') ?? ''
    if (callback !== this.#callback)
      return json(403, { errors: [{ code: 415, message: 'Callback URL not approved for this client application.' }] })
    const [token, secret] = [made('request'), made('request-secret')]
    this.#temporary.set(token, { secret, callback })
    return form({ oauth_token: token, oauth_token_secret: secret, oauth_callback_confirmed: 'true' })
  }

  decide(token: string, agrees: boolean): string {
    const asked = this.#temporary.get(token)
    if (asked === undefined) throw new Error('X shows a page: the request token is invalid')
    const back = new URL(asked.callback)
    if (!agrees) back.searchParams.set('denied', token)
    else {
      asked.verifier = made('verifier')
      back.searchParams.set('oauth_token', token)
      back.searchParams.set('oauth_verifier', asked.verifier)
    }
    return back.href
  }

  exchange(asked: Asked, origin: string): Said {
    const fields = protocolFields(asked)
    const token = fields.get('oauth_token') ?? ''
    const temporary = this.#temporary.get(token)
    const verifier = fields.get('oauth_verifier') ?? new URLSearchParams(asked.body).get('oauth_verifier')
    if (temporary === undefined || !this.#isRight(asked, origin, fields, temporary.secret)) return notAuthenticated()
    if (temporary.verifier === undefined || temporary.verifier !== verifier) return notAuthenticated()
    this.#temporary.delete(token)
    const [access, secret] = [made('access1'), made('access1-secret')]
    this.#tokens.set(access, secret)
    return form({ oauth_token: access, oauth_token_secret: secret, user_id: USER.id, screen_name: USER.username })
  }

  #isRight(asked: Asked, origin: string, fields: ReadonlyMap<string, string>, tokenSecret: string): boolean {
    const nonce = `${fields.get('oauth_timestamp')} ${fields.get('oauth_nonce')} ${fields.get('oauth_token')}`
    const age = Math.abs(Date.now() / 1000 - Number(fields.get('oauth_timestamp')))
    if (fields.get('oauth_consumer_key') !== this.#consumer.key || !(age <= SKEW_S) || this.#nonces.has(nonce)) return false
    this.#nonces.add(nonce)
    const hash = { 'HMAC-SHA1': 'sha1', 'HMAC-SHA256': 'sha256' }[fields.get('oauth_signature_method') ?? '']
    if (hash === undefined) return false
    const key = `${spelled(this.#consumer.secret)}&${spelled(tokenSecret)}`
    return (
      createHmac(hash, key)
        .update(baseOf(asked, origin, fields))
        .digest('base64') === fields.get('oauth_signature')
    )
  }
}

/** RFC 5849 section 3.5.1. */
function protocolFields({ headers }: Asked): ReadonlyMap<string, string> {
  const text = headers.authorization?.replace(/^OAuth /u, '') ?? ''
  const pairs = [...text.matchAll(/([^=,\s]+)="([^"]*)"/gu)].map(([, name, value]) => [unspelled(name!), unspelled(value!)] as const)
  return new Map(pairs)
}

/** RFC 5849 section 3.4.1. */
function baseOf({ method, url, headers, body }: Asked, origin: string, fields: ReadonlyMap<string, string>): string {
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false
  const all = [...url.searchParams, ...(isForm ? new URLSearchParams(body) : []), ...fields].filter(([name]) => name !== 'oauth_signature')
  const spelt = all.map(([name, value]) => [spelled(name), spelled(value)] as const)
  spelt.sort(([a, b], [c, d]) => (a === c ? order(b, d) : order(a, c)))
  return [method, origin + url.pathname, spelt.map((pair) => pair.join('=')).join('&')].map(spelled).join('&')
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function spelled(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/gu, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}

function unspelled(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // No name or value is spelt so: it will match nothing.
    return ''
  }
}

function memberOf(body: string, name: string): unknown {
  try {
    return (JSON.parse(body) as Record<string, unknown> | null)?.[name]
  } catch {
    // What is no JSON has no members.
    return undefined
  }
}

function postOf(index: number, text: string): Post {
  const created_at = new Date(ORIGIN_OF_TIME + index * 1000).toISOString()
  return { id: String(1_700_000_000_000_000_000n + BigInt(index)), text, author_id: USER.id, created_at }
}

function withQuota(said: Said, left: number): Said {
  const reset = String(Math.ceil(Date.now() / 1000) + WINDOW_S)
  return {
    ...said,
    headers: { ...said.headers, 'x-rate-limit-limit': '900', 'x-rate-limit-remaining': String(left), 'x-rate-limit-reset': reset },
  }
}

function oauthError(status: number, error: string, error_description: string): Said {
  return json(status, { error, error_description })
}

function problem(status: number, title: string, detail: string): Said {
  return { ...json(status, { title, detail, type: 'about:blank', status }), headers: { 'content-type': 'application/problem+json' } }
}

function invalid(name: string, value: string): Said {
  const errors = [{ parameters: { [name]: [value] }, message: `The \`${name}\` query parameter value is not valid` }]
  const type = 'https://api.twitter.com/2/problems/invalid-request'
  return json(400, { errors, title: 'Invalid Request', detail: 'One or more parameters to your request was invalid.', type })
}

function notAuthenticated(): Said {
  return json(401, { errors: [{ code: 32, message: 'Could not authenticate you.' }] })
}

function form(members: Readonly<Record<string, string>>): Said {
  return { status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: new URLSearchParams(members).toString() }
}

function made(kind: string): string {
  return `fake-${kind}-${randomBytes(18).toString('base64url')}`
}
