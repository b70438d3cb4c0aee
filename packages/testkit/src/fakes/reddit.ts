/**
 * Owns a Reddit on loopback: sign-in, token endpoint, revocation and the lists that the connector reads, after what Reddit publishes
 * (github.com/reddit-archive/reddit: the wiki pages OAuth2 and API, r2/controllers/oauth2.py; www.reddit.com/dev/api). Refuses what Reddit
 * refuses, in Reddit's words. Where the reference is silent it does nothing of its own.
 */
import { randomBytes } from 'node:crypto'
import { basicPair, bearer, json, startFakeServer } from './fake-server.ts'
import type { Asked, FakeServer, Said } from './fake-server.ts'

export interface FakeReddit extends FakeServer {
  readonly clientId: string
  readonly clientSecret: string
  readonly endpoints: Readonly<Record<FakeEndpoint, string>>
  /** The person's name. */
  readonly user: string
  /** The person agrees to what `url` asks for: where the browser is sent. @throws Error when Reddit shows an error page instead. */
  readonly agree: (url: string) => string
  /** The person says no. */
  readonly deny: (url: string) => string
  /** Ends every access token, as time would. */
  expireTokens(): void
  /** What is left of the period's requests from now on. */
  leave(requests: number): void
}

export type FakeEndpoint = 'authorizationEndpoint' | 'tokenEndpoint' | 'userinfoEndpoint' | 'apiBase' | 'revocationEndpoint'

interface Grant {
  readonly scopes: readonly string[]
  readonly refreshToken?: string
}

export interface FakeRedditOptions {
  readonly redirectUri: string
  /** How many posts the person has. 3 when absent. */
  readonly posts?: number
}

const SCOPES: ReadonlySet<string> = new Set(['identity', 'history', 'read', 'submit', 'mysubreddits', 'edit', 'vote', 'save'])
/** `platform:application:version (by /u/name)`; the name is not always there. Other agents get next to no requests. */
const AGENT = /^[\w.-]+:[\w.-]+:v?[\w.]+(?: \(by \/u\/[\w-]+\))?$/u
const USER = 'a_person'
const PERIOD_S = 600
const LIFE_S = 3600

export async function startFakeReddit(options: FakeRedditOptions): Promise<FakeReddit> {
  const reddit = new Reddit(options)
  const server = await startFakeServer((asked) => reddit.answer(asked))
  const at = (path: string): string => `${server.origin}${path}`
  return {
    ...server,
    clientId: reddit.clientId,
    clientSecret: reddit.clientSecret,
    endpoints: {
      authorizationEndpoint: at('/api/v1/authorize'),
      tokenEndpoint: at('/api/v1/access_token'),
      userinfoEndpoint: at('/api/v1/me'),
      apiBase: server.origin,
      revocationEndpoint: at('/api/v1/revoke_token'),
    },
    user: USER,
    agree: (url) => reddit.decide(url, true),
    deny: (url) => reddit.decide(url, false),
    expireTokens: () => reddit.expireTokens(),
    leave: (requests) => reddit.leave(requests),
  }
}

class Reddit {
  /** As Reddit's are: with characters that a form encoding of more than the standard's need would change. */
  readonly clientId = 'a-client_of.Reddit'
  readonly clientSecret = `not-a_secret-${randomBytes(8).toString('hex')}`
  readonly #redirectUri: string
  readonly #posts: readonly object[]
  readonly #codes = new Map<string, { readonly scopes: readonly string[]; readonly permanent: boolean }>()
  readonly #access = new Map<string, Grant>()
  readonly #refresh = new Map<string, Grant>()
  #left = 600

  constructor({ redirectUri, posts = 3 }: FakeRedditOptions) {
    this.#redirectUri = redirectUri
    this.#posts = Array.from({ length: posts }, (_, index) => submission(index))
  }

  answer(asked: Asked): Said {
    // The token endpoint is on www, the API on oauth.reddit.com; both look at the agent first.
    if (!AGENT.test(asked.headers['user-agent'] ?? '')) return json(429, { message: 'Too Many Requests', error: 429 })
    const { pathname } = asked.url
    if (pathname === '/api/v1/access_token') return this.#asClient(asked, (form) => this.#token(form))
    if (pathname === '/api/v1/revoke_token') return this.#asClient(asked, (form) => this.#revoke(form))
    return this.#api(asked)
  }

  decide(url: string, agrees: boolean): string {
    const asked = new URL(url).searchParams
    const scopes = (asked.get('scope') ?? '').split(/[ ,]/u)
    const duration = asked.get('duration') ?? 'temporary'
    const fault =
      asked.get('client_id') !== this.clientId
        ? 'invalid client id'
        : asked.get('redirect_uri') !== this.#redirectUri
          ? 'invalid redirect_uri parameter'
          : asked.get('response_type') !== 'code'
            ? 'invalid response type'
            : scopes.some((scope) => !SCOPES.has(scope))
              ? 'invalid scope requested'
              : !['temporary', 'permanent'].includes(duration) || (asked.get('state') ?? '') === ''
                ? 'that option is not valid'
                : undefined
    if (fault !== undefined) throw new Error(`Reddit shows a page: ${fault}`)
    const back = new URL(this.#redirectUri)
    back.searchParams.set('state', asked.get('state')!)
    if (agrees) {
      const code = made('code')
      this.#codes.set(code, { scopes, permanent: duration === 'permanent' })
      back.searchParams.set('code', code)
    } else back.searchParams.set('error', 'access_denied')
    // Reddit ends its redirects with this fragment.
    back.hash = '_'
    return back.href
  }

  expireTokens(): void {
    this.#access.clear()
  }

  leave(requests: number): void {
    this.#left = requests
  }

  #asClient(asked: Asked, go: (form: URLSearchParams) => Said): Said {
    const [id, secret] = basicPair(asked) ?? []
    if (id !== this.clientId || secret !== this.clientSecret)
      return json(401, { message: 'Unauthorized', error: 401 }, { 'www-authenticate': 'Basic realm="reddit"' })
    return go(new URLSearchParams(asked.body))
  }

  /** Most refusals come with status 200. */
  #token(form: URLSearchParams): Said {
    if (form.get('grant_type') === 'refresh_token') return this.#refreshed(form.get('refresh_token') ?? '')
    if (form.get('grant_type') !== 'authorization_code') return json(200, { error: 'unsupported_grant_type' })
    const code = form.get('code') ?? ''
    if (code === '' || form.get('redirect_uri') === null) return json(200, { error: 'invalid_request' })
    const agreed = this.#codes.get(code)
    this.#codes.delete(code)
    if (agreed === undefined || form.get('redirect_uri') !== this.#redirectUri) return json(200, { error: 'invalid_grant' })
    const refreshToken = agreed.permanent ? made('refresh') : undefined
    const grant: Grant = { scopes: agreed.scopes, ...(refreshToken === undefined ? {} : { refreshToken }) }
    if (refreshToken !== undefined) this.#refresh.set(refreshToken, grant)
    return json(200, { ...this.#given(grant), ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }) })
  }

  /** The same refresh token goes on; the answer does not name it. One that is over is an `invalid_request`, with status 400. */
  #refreshed(token: string): Said {
    const grant = this.#refresh.get(token)
    return grant === undefined ? json(400, { error: 'invalid_request' }) : json(200, this.#given(grant))
  }

  #given(grant: Grant): object {
    const token = made('access')
    this.#access.set(token, grant)
    return { access_token: token, token_type: 'bearer', expires_in: LIFE_S, scope: grant.scopes.join(' ') }
  }

  /** 204 also for what is no token. A refresh token takes its access tokens along. */
  #revoke(form: URLSearchParams): Said {
    const token = form.get('token') ?? ''
    this.#access.delete(token)
    if (this.#refresh.delete(token))
      for (const [access, { refreshToken }] of this.#access) if (refreshToken === token) this.#access.delete(access)
    return { status: 204 }
  }

  #api(asked: Asked): Said {
    const grant = this.#access.get(bearer(asked) ?? '')
    if (grant === undefined) return refused(401, 'Unauthorized', 'invalid_token')
    if (this.#left <= 0) return json(429, { message: 'Too Many Requests', error: 429 }, this.#quota())
    this.#left -= 1
    const { status, headers, body } = this.#resource(asked, grant)
    return { status, headers: { ...headers, ...this.#quota() }, ...(body === undefined ? {} : { body }) }
  }

  #resource({ method, url }: Asked, { scopes }: Grant): Said {
    const needs = (scope: string, go: () => Said): Said => (scopes.includes(scope) ? go() : refused(403, 'Forbidden', 'insufficient_scope'))
    if (method !== 'GET') return json(404, { message: 'Not Found', error: 404 })
    if (url.pathname === '/api/v1/me') return needs('identity', () => json(200, { id: 't2person', name: USER, total_karma: 1 }))
    if (url.pathname === `/user/${USER}/submitted`) return needs('history', () => this.#listing(url.searchParams))
    if (/^\/r\/[\w-]+\/new$/u.test(url.pathname)) return needs('read', () => this.#listing(url.searchParams))
    return json(404, { message: 'Not Found', error: 404 })
  }

  #listing(query: URLSearchParams): Said {
    const limit = Math.min(Math.max(Number(query.get('limit') ?? 25) || 25, 1), 100)
    const after = query.get('after')
    const start = after === null ? 0 : this.#posts.findIndex((post) => (post as { name: string }).name === after) + 1
    const shown = this.#posts.slice(start, start + limit) as { readonly name: string }[]
    const last = start + limit >= this.#posts.length ? null : shown.at(-1)!.name
    const text = query.get('raw_json') === '1' ? (value: unknown) => value : escaped
    const children = shown.map((data) => ({ kind: 't3', data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, text(v)])) }))
    return json(200, { kind: 'Listing', data: { after: last, dist: shown.length, modhash: null, geo_filter: '', children, before: null } })
  }

  #quota(): Record<string, string> {
    const used = String(600 - this.#left)
    return { 'x-ratelimit-used': used, 'x-ratelimit-remaining': `${this.#left}.0`, 'x-ratelimit-reset': String(PERIOD_S) }
  }
}

function submission(index: number): object {
  return {
    name: `t3_post${index}`,
    id: `post${index}`,
    title: `Post ${index} <b> & more`,
    selftext: index === 0 ? '' : `Text ${index}`,
    author: USER,
    subreddit: 'test',
    permalink: `/r/test/comments/post${index}/post/`,
    created_utc: 1_700_000_000 + index,
    edited: index % 2 === 1 ? 1_700_001_000 + index : false,
  }
}

/** What Reddit does to texts unless it is asked not to. */
function escaped(value: unknown): unknown {
  if (typeof value !== 'string') return value
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

function refused(status: number, message: string, error: string): Said {
  return json(status, { message, error: status }, { 'www-authenticate': `Bearer realm="reddit", error="${error}"` })
}

function made(kind: string): string {
  return `fake-${kind}-${randomBytes(18).toString('base64url')}`
}
