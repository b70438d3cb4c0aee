/** The sandbox Google: refresh without rotation, revocation that bites, id tokens that verify. */
import { createPublicKey, verify, type JsonWebKey } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signIn, startSandbox, type Sandbox } from '../src/index.ts'
import { askToken, authorizationUrl, connect, pkce, userInfo } from './flow.ts'

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
})
afterAll(() => sandbox.close())

const refresh = (refresh_token: unknown): ReturnType<typeof askToken> =>
  askToken(sandbox.google, { grant_type: 'refresh_token', refresh_token: String(refresh_token), redirect_uri: null })

describe('the sandbox Google', () => {
  it('refreshes again and again with the same refresh token', async () => {
    const first = await connect(sandbox.google)
    const answers = [await refresh(first.refresh_token), await refresh(first.refresh_token)]
    for (const { status, body } of answers) {
      expect(status).toBe(200)
      expect(body).not.toHaveProperty('refresh_token')
      expect((await userInfo(sandbox.google, body.access_token)).body.email).toBe('ada@sandbox.example')
    }
  })

  it('gives a refresh token only to access_type=offline', async () => {
    const { verifier, challenge } = pkce()
    const url = authorizationUrl(sandbox.google, challenge, { access_type: null })
    const code = new URL(await signIn(url, 'ada@sandbox.example')).searchParams.get('code')
    const { body } = await askToken(sandbox.google, { code, code_verifier: verifier })
    expect(body).toHaveProperty('access_token')
    expect(body).not.toHaveProperty('refresh_token')
  })

  it('V-08 ends the grant when either token is revoked', async () => {
    for (const kind of ['access_token', 'refresh_token'] as const) {
      const tokens = await connect(sandbox.google, 'grace@sandbox.example')
      const revoke = (): Promise<Response> =>
        fetch(`${sandbox.google.origin}/oauth2/revoke`, { method: 'POST', body: new URLSearchParams({ token: String(tokens[kind]) }) })
      expect((await revoke()).status).toBe(200)
      expect((await userInfo(sandbox.google, tokens.access_token)).status).toBe(401)
      expect((await refresh(tokens.refresh_token)).body.error).toBe('invalid_grant')
      expect((await revoke()).status).toBe(400)
    }
  })

  it('signs id tokens that its published key verifies, with nonce, client and the subject that user info names', async () => {
    const { verifier, challenge } = pkce()
    const url = authorizationUrl(sandbox.google, challenge, { nonce: 'nonce-of-the-application' })
    const code = new URL(await signIn(url, 'ada@sandbox.example')).searchParams.get('code')
    const { body } = await askToken(sandbox.google, { code, code_verifier: verifier })
    const [header = '', claims = '', signature = ''] = String(body.id_token).split('.')
    const { keys } = (await (await fetch(`${sandbox.google.origin}/oauth2/v3/certs`)).json()) as { keys: (JsonWebKey & { kid: string })[] }
    const { kid } = decode(header)
    const key = createPublicKey({ key: keys.find((candidate) => candidate.kid === kid) ?? {}, format: 'jwk' })
    expect(verify('sha256', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
    const info = await userInfo(sandbox.google, body.access_token)
    expect(decode(claims)).toMatchObject({
      iss: sandbox.google.origin,
      aud: sandbox.google.clientId,
      nonce: 'nonce-of-the-application',
      sub: info.body.sub,
    })
  })

  it('O-14 advertises S256 and nothing weaker', async () => {
    const response = await fetch(`${sandbox.google.origin}/.well-known/openid-configuration`)
    expect(await response.json()).toMatchObject({ issuer: sandbox.google.origin, code_challenge_methods_supported: ['S256'] })
  })

  it('answers API calls only with a token', async () => {
    const path = `${sandbox.google.apiBase}/gmail/v1/users/me/messages`
    expect((await fetch(path)).status).toBe(401)
    const { access_token } = await connect(sandbox.google)
    const response = await fetch(path, { headers: { authorization: `Bearer ${String(access_token)}` } })
    expect(await response.json()).toMatchObject({ messages: [{ id: 'msg_sandbox_welcome' }] })
  })
})

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>
}
