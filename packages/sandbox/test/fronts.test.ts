/** What both fronts promise: only tokens of their own, only S256, every code and page once, nobody sent off this machine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signIn, startSandbox, type Sandbox, type SandboxProvider } from '../src/index.ts'
import { askToken, authorizationUrl, CALLBACK, codeFor, connect, pkce, userInfo } from './flow.ts'

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
})
afterAll(() => sandbox.close())

const WRONG_CODE = { github: [200, 'bad_verification_code'], google: [400, 'invalid_grant'] } as const

describe.each(['github', 'google'] as const)('the sandbox %s', (name) => {
  const provider = (): SandboxProvider => sandbox[name]

  it('connects by code and PKCE S256, and gives the state and the chosen user back', async () => {
    const { verifier, challenge } = pkce()
    const user = provider().users[1] ?? ''
    const redirected = new URL(await signIn(authorizationUrl(provider(), challenge), user))
    expect(redirected.origin + redirected.pathname).toBe(CALLBACK)
    expect(redirected.searchParams.get('state')).toBe('state-of-the-application')
    const { status, body } = await askToken(provider(), { code: redirected.searchParams.get('code'), code_verifier: verifier })
    expect(status).toBe(200)
    const info = await userInfo(provider(), body.access_token)
    expect(info.status).toBe(200)
    expect([info.body.login, info.body.email]).toContain(user)
  })

  it('refuses a wrong verifier, and the code is spent by it', async () => {
    const { verifier, challenge } = pkce()
    const code = await codeFor(provider(), challenge)
    const wrong = await askToken(provider(), { code, code_verifier: pkce().verifier })
    expect([wrong.status, wrong.body.error]).toEqual(WRONG_CODE[name])
    const right = await askToken(provider(), { code, code_verifier: verifier })
    expect([right.status, right.body.error]).toEqual(WRONG_CODE[name])
  })

  it('refuses a missing verifier', async () => {
    const { challenge } = pkce()
    const answer = await askToken(provider(), { code: await codeFor(provider(), challenge) })
    expect([answer.status, answer.body.error]).toEqual(WRONG_CODE[name])
  })

  it('O-04 exchanges a code once, also when twenty try at the same time', async () => {
    const { verifier, challenge } = pkce()
    const code = await codeFor(provider(), challenge)
    const answers = await Promise.all(Array.from({ length: 20 }, () => askToken(provider(), { code, code_verifier: verifier })))
    expect(answers.filter(({ body }) => typeof body.access_token === 'string')).toHaveLength(1)
    const later = await askToken(provider(), { code, code_verifier: verifier })
    expect([later.status, later.body.error]).toEqual(WRONG_CODE[name])
  })

  it.each([
    ['plain', { code_challenge_method: 'plain' }],
    ['a method left out, which means plain', { code_challenge_method: null }],
    ['no challenge', { code_challenge: null, code_challenge_method: null }],
    ['a challenge that is no SHA-256', { code_challenge: 'short' }],
  ])('O-14 refuses %s before anyone signs in', async (_what, changes) => {
    const response = await fetch(authorizationUrl(provider(), pkce().challenge, changes), { redirect: 'manual' })
    const location = new URL(response.headers.get('location') ?? '')
    expect(location.searchParams.get('error')).toBe('invalid_request')
    expect(location.searchParams.get('state')).toBe('state-of-the-application')
  })

  it.each([
    'https://elsewhere.example/cb',
    'http://elsewhere.example/cb',
    'https://127.0.0.1/cb',
    'http://127.0.0.1@elsewhere.example/',
    'http://user@127.0.0.1/cb',
    'http://127.0.0.1/cb#part',
    'cb',
  ])('redirects nobody to %s', async (redirect_uri) => {
    const response = await fetch(authorizationUrl(provider(), pkce().challenge, { redirect_uri }), { redirect: 'manual' })
    expect([response.status, response.headers.get('location')]).toEqual([400, null])
  })

  it('refuses an unknown client at the page and at the token endpoint', async () => {
    const { verifier, challenge } = pkce()
    const shown = await fetch(authorizationUrl(provider(), challenge, { client_id: 'someone-else' }), { redirect: 'manual' })
    expect(shown.status).toBe(400)
    const code = await codeFor(provider(), challenge)
    const wrong = await askToken(provider(), { code, code_verifier: verifier, client_secret: 'wrong' })
    expect(wrong.body.error).toBe(name === 'github' ? 'incorrect_client_credentials' : 'invalid_client')
  })

  it('takes the client credentials as Basic too', async () => {
    const { verifier, challenge } = pkce()
    const form = {
      grant_type: 'authorization_code',
      code: await codeFor(provider(), challenge),
      code_verifier: verifier,
      redirect_uri: CALLBACK,
    }
    const credentials = Buffer.from(`${provider().clientId}:${provider().clientSecret}`).toString('base64')
    const response = await fetch(provider().tokenEndpoint, {
      method: 'POST',
      body: new URLSearchParams(form),
      headers: { accept: 'application/json', authorization: `Basic ${credentials}` },
    })
    expect(await response.json()).toMatchObject({ access_token: expect.any(String) })
  })

  it('refuses a code shown with another redirect URI', async () => {
    const { verifier, challenge } = pkce()
    const code = await codeFor(provider(), challenge)
    const answer = await askToken(provider(), { code, code_verifier: verifier, redirect_uri: `${CALLBACK}-other` })
    expect(answer.body.error).toBe('redirect_uri_mismatch')
  })

  it('accepts a sign-in page once, and believes nothing in its form but the account', async () => {
    const { verifier, challenge } = pkce()
    const html = await (await fetch(authorizationUrl(provider(), challenge))).text()
    const state = /name="state" value="([^"]+)"/.exec(html)?.[1] ?? ''
    const action = /action="([^"]+)"/.exec(html)?.[1] ?? ''
    const user = provider().users[0] ?? ''
    const post = (): Promise<Response> =>
      fetch(new URL(action, provider().origin), {
        method: 'POST',
        body: new URLSearchParams({
          login: user,
          email: user,
          state,
          redirect_uri: 'https://elsewhere.example/',
          code_challenge: 'x',
          client_id: 'x',
        }),
        redirect: 'manual',
      })
    const location = new URL((await post()).headers.get('location') ?? '')
    expect(location.origin + location.pathname).toBe(CALLBACK)
    const exchanged = await askToken(provider(), { code: location.searchParams.get('code'), code_verifier: verifier })
    expect(exchanged.body.access_token).toEqual(expect.any(String))
    expect((await post()).status).toBe(400)
  })

  it('offers its own accounts to sign in with, and no other', async () => {
    const html = await (await fetch(authorizationUrl(provider(), pkce().challenge))).text()
    const offered = [...html.matchAll(/name="(?:login|email)" value="([^"]+)"/g)].map(([, user]) => user)
    expect(new Set(offered)).toEqual(new Set(provider().users))
    await expect(signIn(authorizationUrl(provider(), pkce().challenge), 'admin')).rejects.toThrow('no account')
  })

  it.each(['made-up-token', 'test_token_admin', ''])('answers 401 to the token %j, which it never issued', async (token) => {
    expect((await userInfo(provider(), token)).status).toBe(401)
  })

  it('answers 401 to credentials that are no bearer token', async () => {
    const response = await fetch(provider().userinfoEndpoint, { headers: { authorization: 'Basic eDp5' } })
    expect(response.status).toBe(401)
  })

  it('answers 413 to a token request over 64 KiB', async () => {
    const response = await fetch(provider().tokenEndpoint, { method: 'POST', body: new URLSearchParams({ code: 'x'.repeat(70_000) }) })
    expect(response.status).toBe(413)
  })

  it('takes no token of the other provider', async () => {
    const other = sandbox[name === 'github' ? 'google' : 'github']
    const { access_token } = await connect(other)
    expect((await userInfo(provider(), access_token)).status).toBe(401)
  })
})
