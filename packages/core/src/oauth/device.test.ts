import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import { deviceAuthorization, deviceOutcome } from './device.ts'
import type { DeviceGrant } from './device.ts'
import type { OutboundRequest } from './server.ts'

const NOW = 1_800_000_000_000

function grant(answer: () => Response, quirks: DeviceGrant['server']['tokenQuirks'] = []) {
  const sent: { url: string; request: OutboundRequest }[] = []
  const made: DeviceGrant = {
    server: {
      issuer: 'https://issuer.example',
      tokenEndpoint: 'https://issuer.example/token',
      deviceAuthorizationEndpoint: 'https://issuer.example/device',
      tokenAuth: 'client_secret_post',
      scopeSeparator: ' ',
      tokenQuirks: quirks,
    },
    client: { clientId: 'a-client', clientSecret: null },
    requestedScopes: ['read', 'write'],
    fetch: async (url, request) => {
      sent.push({ url, request })
      return answer()
    },
    now: NOW,
  }
  return { made, sent }
}

const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
const shown = { device_code: 'fake-device-code', user_code: 'WDJB-MJHT', verification_uri: 'https://issuer.example/go', expires_in: 900 }

describe('a code for a device', () => {
  it('is asked for by a public client, which proves nothing, with its scopes', async () => {
    const { made, sent } = grant(() => json({ ...shown, interval: 7 }))
    const { deviceCode, ...rest } = await deviceAuthorization(made)
    expect(deviceCode.reveal()).toBe('fake-device-code')
    expect(rest).toEqual({
      userCode: 'WDJB-MJHT',
      verificationUri: 'https://issuer.example/go',
      verificationUriComplete: null,
      lifeMs: 900_000,
      intervalMs: 7000,
    })
    expect(sent[0]!.url).toBe('https://issuer.example/device')
    expect(Object.fromEntries(new URLSearchParams(sent[0]!.request.body))).toEqual({ client_id: 'a-client', scope: 'read write' })
  })

  it('is asked after every five seconds where the server says nothing, and its page may have the name of a draft', async () => {
    const { verification_uri: verification_url, ...rest } = shown
    const { made } = grant(() => json({ ...rest, verification_url }))
    expect(await deviceAuthorization(made)).toMatchObject({ intervalMs: 5000, verificationUri: 'https://issuer.example/go' })
  })

  it.each([
    ['a page that no browser should open', { ...shown, verification_uri: 'javascript:alert(1)' }],
    ['a page that anybody on the way could be', { ...shown, verification_uri: 'http://issuer.example/go' }],
    ['a page that looks like another’s', { ...shown, verification_uri: 'https://bank.example@issuer.example/go' }],
    ['a code that would change what stands around it', { ...shown, user_code: 'A\u202eB' }],
    ['no code', { ...shown, device_code: undefined }],
    ['no end', { ...shown, expires_in: undefined }],
  ])('is refused with %s', async (_what, body) => {
    const { made } = grant(() => json(body))
    await expect(deviceAuthorization(made)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('has a page that can stand in a page or a terminal as it is', async () => {
    const hostile = 'https://issuer.example/\u001b[2J"><script>\u202e'
    const { made } = grant(() => json({ ...shown, verification_uri: hostile, verification_uri_complete: `${hostile}?user_code=A` }))
    const { verificationUri, verificationUriComplete } = await deviceAuthorization(made)
    for (const page of [verificationUri, verificationUriComplete!]) expect(page).toMatch(/^https:\/\/issuer\.example\/[!#-;=?-~]+$/u)
  })

  it.each(['unauthorized_client', 'device_flow_disabled', 'invalid_resource'])(
    'says that the client is wrong when the provider does: %s',
    async (error) => {
      const { made } = grant(() => json({ error }, 400))
      await expect(deviceAuthorization(made)).rejects.toMatchObject({ code: 'provider_misconfigured' })
    },
  )
})

describe('the outcome of a device’s code', () => {
  it.each([
    [400, 'authorization_pending', 'pending'],
    [400, 'slow_down', 'slow_down'],
    [400, 'expired_token', 'expired'],
    [400, 'token_expired', 'expired'],
    [400, 'access_denied', 'denied'],
    [400, 'authorization_declined', 'denied'],
    // Google's statuses.
    [428, 'authorization_pending', 'pending'],
    [403, 'slow_down', 'slow_down'],
    [403, 'access_denied', 'denied'],
    [500, 'server_error', 'unreached'],
    [429, 'slow_down', 'unreached'],
  ])('with status %i and %s is "%s"', async (status, error, kind) => {
    const { made } = grant(() => json({ error }, status))
    expect(await deviceOutcome(made, new Secret('fake-device-code'))).toEqual({ kind })
  })

  it('is read from a success that is none, where the provider answers so', async () => {
    const { made } = grant(() => json({ error: 'authorization_pending' }), ['error_in_success'])
    expect(await deviceOutcome(made, new Secret('fake-device-code'))).toEqual({ kind: 'pending' })
  })

  it('is tokens, once the person has agreed', async () => {
    const { made, sent } = grant(() => json({ access_token: 'fake-access', token_type: 'Bearer', expires_in: 60, scope: 'read' }))
    const outcome = await deviceOutcome(made, new Secret('fake-device-code'))
    expect(outcome).toMatchObject({ kind: 'tokens', tokens: { scopes: ['read'], expiresAt: NOW + 60_000, refreshToken: null } })
    const asked = Object.fromEntries(new URLSearchParams(sent[0]!.request.body))
    expect(asked).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'fake-device-code',
      client_id: 'a-client',
    })
  })

  it('is to be asked for again when the connection broke, and not when the address may not be reached', async () => {
    const broken = grant(() => {
      throw new EgressError('upstream_unreachable', 'refused')
    })
    expect(await deviceOutcome(broken.made, new Secret('c'))).toEqual({ kind: 'unreached' })
    const refused = grant(() => {
      throw new EgressError('egress_refused', 'address')
    })
    await expect(deviceOutcome(refused.made, new Secret('c'))).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it.each([
    ['an unknown code', () => json({ error: 'invalid_grant' }, 400)],
    ['garbage', () => new Response('<html>', { status: 200, headers: { 'content-type': 'text/html' } })],
  ])('is an end with %s', async (_what, answer) => {
    const { made } = grant(answer)
    await expect(deviceOutcome(made, new Secret('canary-c0de'))).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })
})
