import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startIssuer } from '../../../testkit/src/issuer/index.ts'
import type { Issuer, IssuerBehaviour } from '../../../testkit/src/issuer/index.ts'
import { generateProofKey } from '../../src/crypto/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { SallyportError, Secret } from '../../src/kernel/index.ts'
import { authorizationRequest, callbackState, createDpopNonces, exchangeCode, fetchAccount, judgeAnswer } from '../../src/oauth/index.ts'
import type { AuthorizationServer, DpopSender, OAuthClient, TokenQuirk, UserinfoEndpoint } from '../../src/oauth/index.ts'
import type { TokenSet } from '../../src/tokens/index.ts'

const redirectUri = 'https://gate.example/oauth/cb/abc'
const NOW = 1_800_000_000_000

let issuer: Issuer
let egress: Egress

beforeAll(async () => {
  issuer = await startIssuer()
  egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [issuer.origin] })
})
beforeEach(() => issuer.behave())
afterAll(async () => {
  await egress.close()
  await issuer.close()
})

describe('the exchange of a code', () => {
  it('gives the tokens, their expiry and what was granted, and sends the code once', async () => {
    const before = issuer.exchanges.length
    const tokens = await connect()
    expect(tokens.accessToken.reveal()).toBe(issuer.tokens.at(-1))
    expect(tokens.refreshToken).not.toBeNull()
    expect(tokens).toMatchObject({ tokenType: 'bearer', expiresAt: NOW + 3_600_000, scopes: ['repo', 'user'] })
    expect(issuer.exchanges.length - before).toBe(1)
    expect(Object.fromEntries(issuer.exchanges.at(-1)!)).toMatchObject({ grant_type: 'authorization_code', redirect_uri: redirectUri })
  })

  it('proves the client in the header where the server wants that', async () => {
    const tokens = await connect({}, { tokenAuth: 'client_secret_basic' })
    expect(tokens.accessToken.reveal()).toBe(issuer.tokens.at(-1))
    expect(issuer.exchanges.at(-1)!.has('client_secret')).toBe(false)
  })

  it('S74 takes no bearer token where one bound to a key was asked for', async () => {
    const dpop = { key: generateProofKey(), nonces: createDpopNonces(), now: () => NOW }
    await expect(connect({}, {}, { dpop })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    expect((await connect({ members: { token_type: 'DPoP' } }, {}, { dpop })).dpopKey?.reveal()).toBe(dpop.key.reveal())
  })

  it('reads forms and comma-separated scopes where the record says so', async () => {
    const tokens = await connect({ token: 'form', members: { scope: 'repo,user' } }, { tokenQuirks: ['form_answer'] })
    expect(tokens.scopes).toEqual(['repo', 'user'])
  })

  it('F-19 takes what was asked for as granted when the answer does not say, and lives without expiry and refresh token', async () => {
    const tokens = await connect({ members: { scope: undefined, expires_in: undefined, refresh_token: undefined } })
    expect(tokens).toMatchObject({ scopes: ['repo', 'user'], expiresAt: null, refreshToken: null })
  })

  it('keeps what else the provider said, but never an id token', async () => {
    const tokens = await connect({ members: { team: { id: 'T1' }, id_token: 'x.y.z' } })
    expect(JSON.parse(tokens.extra.reveal())).toEqual({ team: { id: 'T1' } })
  })

  it('drops what is too much to keep rather than cut it', async () => {
    expect((await connect({ members: { filler: 'x'.repeat(9000) } })).extra.reveal()).toBe('{}')
  })

  it('O-14 works with a server that ignores PKCE, and still sends S256 and the verifier', async () => {
    await connect({ pkce: 'ignored' })
    expect(issuer.authorizations.at(-1)!.get('code_challenge_method')).toBe('S256')
    expect(issuer.exchanges.at(-1)!.get('code_verifier')).toMatch(/^[\w-]{43}$/u)
  })

  it('O-14 fails with the verifier of another flow', async () => {
    await expect(connect({}, {}, { verifier: new Secret('v'.repeat(43)) })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('fails with another redirect URI than the request had', async () => {
    await expect(connect({}, {}, { exchangeRedirectUri: `${redirectUri}/other` })).rejects.toMatchObject({
      code: 'connect_exchange_failed',
    })
  })

  it.each([
    ['an HTML page', { token: 'html' }, 'connect_exchange_failed'],
    ['an error page', { token: 'error_page' }, 'connect_exchange_failed'],
    ['an error with status 200', { token: 'error_in_success' }, 'connect_exchange_failed'],
    ['a form where none was announced', { token: 'form' }, 'connect_exchange_failed'],
    ['a rejected client', { token: 'invalid_client' }, 'provider_misconfigured'],
    ['a redirect', { token: 'redirect' }, 'connect_exchange_failed'],
    ['a reset', { token: 'reset' }, 'connect_exchange_failed'],
    ['a cut answer', { token: 'truncated' }, 'connect_exchange_failed'],
    ['an answer without end', { token: 'endless' }, 'connect_exchange_failed'],
    ['no access token', { members: { access_token: undefined } }, 'connect_exchange_failed'],
    ['an empty access token', { members: { access_token: '' } }, 'connect_exchange_failed'],
    ['an access token that is no text', { members: { access_token: { a: 1 } } }, 'connect_exchange_failed'],
    ['no token type', { members: { token_type: undefined } }, 'connect_exchange_failed'],
    ['a MAC token', { members: { token_type: 'mac' } }, 'connect_exchange_failed'],
    ['a DPoP token', { members: { token_type: 'DPoP' } }, 'connect_exchange_failed'],
    ['a scope with a NUL', { members: { scope: 're\0po' } }, 'connect_exchange_failed'],
    [
      '30,000 scopes',
      { members: { scope: Array.from({ length: 30_000 }, (_, index) => `s${index}`).join(' ') } },
      'connect_exchange_failed',
    ],
    ['scopes that are no text', { members: { scope: ['repo'] } }, 'connect_exchange_failed'],
  ] as [string, Partial<IssuerBehaviour>, string][])(
    'fails typed, after one request and without a token in the error, on %s',
    async (_what, behaviour, code) => {
      const before = issuer.exchanges.length
      const failure = await connect(behaviour, { tokenQuirks: behaviour.token === 'error_in_success' ? ['error_in_success'] : [] }).catch(
        (error: unknown) => error,
      )
      expect(failure).toBeInstanceOf(SallyportError)
      expect(failure).toMatchObject({ code })
      expect(issuer.exchanges.length - before).toBe(1)
      const shown = inspect(failure, { depth: 12, showHidden: true })
      for (const secret of [issuer.tokens.at(-1)!, issuer.clientSecret, issuer.exchanges.at(-1)!.get('code')!])
        expect(shown).not.toContain(secret)
    },
  )

  it('says when it is our client that the provider rejects, without repeating its words', async () => {
    const failure = await connect({}, {}, { client: { clientId: issuer.clientId, clientSecret: new Secret('wrong') } }).catch(
      (error: unknown) => error,
    )
    expect(failure).toMatchObject({ code: 'provider_misconfigured', providerError: 'invalid_client' })
  })
})

describe('the account behind a token', () => {
  it.each([
    [
      { id: 4711, login: 'grace' },
      { id: '4711', label: 'grace' },
    ],
    [
      { id: 'U1', login: null },
      { id: 'U1', label: null },
    ],
    [
      { id: 'U1', login: 'a\nb' },
      { id: 'U1', label: null },
    ],
    [
      { id: 'U1', login: 'x'.repeat(256) },
      { id: 'U1', label: null },
    ],
    [
      { id: 'U1', login: 'admin\u202enimda\u2066\u200f' },
      { id: 'U1', label: 'adminnimda' },
    ],
    [
      { id: 'U1', login: '\u202e\u2069' },
      { id: 'U1', label: null },
    ],
    [
      { id: 'U1', login: 'a\u0085b' },
      { id: 'U1', label: null },
    ],
  ])('%j is %j', async (account, expected) => {
    const { accessToken } = await connect({ account })
    expect(await fetchAccount(userinfo(), accessToken, (url, init) => egress.fetch(url, init))).toEqual(expected)
  })

  it.each([
    ['an answer without id', { userinfo: 'no_id' }],
    ['an id that is no integer', { account: { id: 1.5, login: 'a' } }],
    ['an id beyond what numbers hold', { account: { id: 2 ** 60, login: 'a' } }],
    ['an id with a control of text direction', { account: { id: 'a\u202eb', login: 'a' } }],
    ['an id with a line break', { account: { id: 'a\nb', login: 'a' } }],
    ['an empty id', { account: { id: '', login: 'a' } }],
    ['an id that is an object', { account: { id: {}, login: 'a' } }],
    ['a refused token', { userinfo: 'unauthorized' }],
    ['an HTML page', { userinfo: 'html' }],
    ['a reset', { userinfo: 'reset' }],
  ] as [string, Partial<IssuerBehaviour>][])('is not guessed from %s', async (_what, behaviour) => {
    const { accessToken } = await connect(behaviour)
    const failure = await fetchAccount(userinfo(), accessToken, (url, init) => egress.fetch(url, init)).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'connect_exchange_failed' })
    expect(inspect(failure, { depth: 12 })).not.toContain(accessToken.reveal())
  })
})

interface Variation {
  readonly dpop?: DpopSender
  readonly verifier?: Secret
  readonly exchangeRedirectUri?: string
  readonly client?: OAuthClient
}

/** The whole flow: request, redirect, judgement, exchange. */
async function connect(
  behaviour: Partial<IssuerBehaviour> = {},
  changes: { tokenQuirks?: TokenQuirk[]; tokenAuth?: AuthorizationServer['tokenAuth'] } = {},
  variation: Variation = {},
): Promise<TokenSet> {
  issuer.behave(behaviour)
  const server = serverOf(changes)
  const request = authorizationRequest({ server, clientId: issuer.clientId, redirectUri, scopes: ['repo', 'user'] })
  const answer = await fetch(request.url, { redirect: 'manual' })
  const query = new URL(answer.headers.get('location')!).search.slice(1)
  return exchangeCode({
    server,
    client: variation.client ?? { clientId: issuer.clientId, clientSecret: new Secret(issuer.clientSecret) },
    redirectUri: variation.exchangeRedirectUri ?? redirectUri,
    verifier: variation.verifier ?? request.verifier,
    ...(variation.dpop === undefined ? {} : { dpop: variation.dpop }),
    answer: judgeAnswer(server, query, callbackState(query)),
    requestedScopes: ['repo', 'user'],
    fetch: (url, init) => egress.fetch(url, init),
    now: NOW,
  })
}

function serverOf(changes: Partial<AuthorizationServer>): AuthorizationServer {
  return {
    issuer: issuer.origin,
    responseIssuer: 'required',
    ...issuer.endpoints,
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
    ...changes,
  }
}

function userinfo(): UserinfoEndpoint {
  return { url: issuer.endpoints.userinfoEndpoint, method: 'GET', idPath: ['id'], labelPath: ['login'], headers: {} }
}
