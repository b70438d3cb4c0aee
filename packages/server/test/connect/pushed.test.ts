/** The flow at a certified server that is known by what it publishes: it takes requests from the gateway alone, and binds tokens to keys. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parseId, readTokenSet, Secret } from '@sallyport/core'
import { startCertifiedServer } from '../../../core/test/oauth/certified-server.ts'
import type { CertifiedServer } from '../../../core/test/oauth/certified-server.ts'
import { signIn } from '../../../core/test/oauth/sign-in.ts'
import { credentialHead } from '../../src/db/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { Browser, createGateway, PUBLIC_URL } from './harness.ts'
import type { Gateway } from './harness.ts'

const CLIENT = { clientId: 'pushing', clientSecret: 'not-a-secret-pushing-client-of-a-test' }

let server: CertifiedServer
let gateway: Gateway
let context: string
/** What the server answers 503 to. */
let away: string | undefined

beforeAll(async () => {
  server = await startCertifiedServer({
    clients: [
      {
        client_id: CLIENT.clientId,
        client_secret: CLIENT.clientSecret,
        redirect_uris: [`${PUBLIC_URL}/oauth/cb/any`],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'client_secret_post',
        dpop_bound_access_tokens: true,
      },
    ],
    features: { pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true }, dPoP: { enabled: true } },
    before: ({ url = '' }, response) => {
      if (away === undefined || !url.startsWith(away)) return false
      response.writeHead(503).end()
      return true
    },
  })
  // An integration's address is known only after its client.
  const { Client } = server.provider as unknown as { readonly Client: { readonly prototype: { redirectUriAllowed(uri: string): boolean } } }
  Client.prototype.redirectUriAllowed = (uri) => uri.startsWith(`${PUBLIC_URL}/oauth/cb/`)
  const { origin } = server
  gateway = await createGateway(inject('postgresUrl'), {
    overlays: {
      google: {
        authorizationEndpoint: `${origin}/auth`,
        tokenEndpoint: `${origin}/token`,
        userinfoEndpoint: `${origin}/me`,
        apiBase: origin,
        issuer: origin,
        discovery: true,
        tokenBinding: 'offered',
      },
    },
    insecureAllowOrigins: [origin],
  })
  context = (await gateway.register('strict', 'google', CLIENT, ['openid', 'email'])).context
  await gateway.register('stranger', 'google', { ...CLIENT, clientSecret: 'not-the-secret-of-a-test' }, ['openid'])
})
afterAll(async () => {
  await gateway.close()
  await server.close()
})

/** The status of the page that the link's button leads to, and its text. */
async function pressed(browser: Browser, link: string): Promise<{ readonly status: number; readonly text: string }> {
  const { text } = await browser.get(link)
  const formToken = /name="form_token" value="(?<token>[\w-]+)"/u.exec(text)!.groups!['token']!
  return browser.post(link, { form_token: formToken })
}

const statusOf = async (): Promise<unknown> =>
  (await gateway.rows<{ status: string }>('select status from sallyport.connect_session order by created_at desc limit 1'))[0]?.status

describe('S74 O-16 a provider that takes requests from the gateway alone', () => {
  it('is handed the request by the gateway, and gives tokens bound to a key; the browser carries a name', async () => {
    const { session, link } = await gateway.begin({ integration: 'strict' })
    const browser = new Browser(gateway.nodes[0])
    const url = await browser.leave(link)
    expect([...new URL(url).searchParams.keys()]).toEqual(['client_id', 'request_uri'])
    const address = `${PUBLIC_URL}/oauth/cb/${context}`
    const back = new URL((await browser.get(`${address}?${await signIn(url, address)}`)).location!)
    const code = new Secret(back.searchParams.get('connect_code')!)
    const made = await gateway.connect.complete(gateway.key, gateway.place, parseId('cs', session.id)!, { code, endUserId: 'user-1' })
    expect(made).toMatchObject({ status: 'active', account: { label: 'grace@test.example' } })
    const head = (await gateway.database.withTenant(gateway.place.org, (tx) => credentialHead(tx, made.id)))!
    const tokens = readTokenSet(await gateway.vault.open(gateway.place.org, credentialPlace(made.id, head.seq), head.sealed))
    expect(tokens.tokenType).toBe('dpop')
  })

  it('that is away leaves the link as it is: the same button works when it is back', async () => {
    const { link } = await gateway.begin({ integration: 'strict' })
    const browser = new Browser(gateway.nodes[0])
    away = '/request'
    try {
      expect(await pressed(browser, link)).toMatchObject({ status: 502, text: expect.stringContaining('connect_exchange_failed') })
      expect(await statusOf()).toBe('open')
    } finally {
      away = undefined
    }
    expect(new URL(await browser.leave(link)).searchParams.has('request_uri')).toBe(true)
  })

  it('that does not take the client says so before anybody is sent there, and the log has no secret', async () => {
    const { link } = await gateway.begin({ integration: 'stranger' })
    const visit = await pressed(new Browser(gateway.nodes[0]), link)
    expect(visit.text).toContain('integration_not_configured')
    expect(visit.status).toBeGreaterThanOrEqual(400)
    expect(gateway.log.join('\n')).toContain('a sign-in could not be begun at its provider')
    expect(gateway.log.join('\n')).not.toContain('not-the-secret-of-a-test')
  })
})
