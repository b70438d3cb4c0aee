/** A gateway that is told which of its addresses to call from: each kind of call that it makes, as whoever is called sees it. */
import { generateKeyPairSync } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterAll, describe, expect, it } from 'vitest'
import { connectAccount, createKey, signInOwner, startAws, startGatewayProcess, startUpstream } from '@sallyport/testkit'
import { keepKey } from './model-stage.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Of this machine, and not the one that a call to loopback begins at by itself. */
const LOCAL = '127.0.0.2'

/** Where calls came from, by what they were. */
const from = new Map<string, Set<string>>()
function note(what: string, address: string | undefined): void {
  from.set(what, (from.get(what) ?? new Set()).add(address ?? 'nowhere'))
}

/** Passes bytes on to a server, and notes who sends them. */
async function relayTo(endpoint: string, what: string): Promise<string> {
  const to = new URL(endpoint)
  const server = createServer((inbound) => {
    note(what, inbound.remoteAddress)
    const outbound = connect(Number(to.port), to.hostname)
    for (const [socket, other] of [
      [inbound, outbound],
      [outbound, inbound],
    ] as const) {
      socket.on('error', () => other.destroy())
      socket.pipe(other)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(async () => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEYS = { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'a-key', alg: 'RS256', use: 'sig' }] }

/** One server is everybody that a gateway calls. */
function everybody(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url!, 'http://everybody')
  request.resume()
  if (url.pathname === '/authorize') {
    const back = new URL(url.searchParams.get('redirect_uri')!)
    back.searchParams.set('code', 'a-code')
    back.searchParams.set('state', url.searchParams.get('state')!)
    response.writeHead(302, { location: back.href }).end()
    return
  }
  note(`${request.method} ${url.pathname}`, request.socket.remoteAddress)
  const answers: Readonly<Record<string, object>> = {
    '/token': { access_token: 'not-a-token', refresh_token: 'not-a-refresh-token', token_type: 'bearer', scope: '', expires_in: 28_800 },
    '/accounts': { access_token: 'not-a-token', token_type: 'Bearer', expires_in: 3_600 },
    '/user': { id: 1, login: 'somebody' },
    '/keys': KEYS,
    '/set-keys': KEYS,
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answers[url.pathname] ?? {}))
}

/** Signed by nobody, so that its keys are asked for and it is refused. */
const tokenOf = (issuer: string, typ: string): string =>
  [
    { alg: 'RS256', typ, kid: 'a-key' },
    { iss: issuer, aud: 'gateway', sub: 's', iat: Math.floor(Date.now() / 1000), jti: 'j', events: {} },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .concat(Buffer.from('nothing').toString('base64url'))
    .join('.')

describe('a gateway with an address to call from', () => {
  it(
    'X-08 calls from it alone: tokens, renewals, accounts, keys of issuers, APIs, models, ends of grants, key services',
    { timeout: 120_000 },
    async () => {
      const others = await startUpstream()
      cleanups.push(() => others.close())
      others.answer(everybody)
      const aws = await startAws()
      cleanups.push(() => aws.close())
      const at = others.origin
      const gateway = await startGatewayProcess({
        variables: {
          SALLYPORT_EGRESS_LOCAL_ADDRESS: LOCAL,
          SALLYPORT_KEYS_WRAPPER: 'aws-kms',
          SALLYPORT_KEYS_AWS_KMS_KEYS: aws.createKey(),
          SALLYPORT_KEYS_AWS_KMS_ENDPOINT: await relayTo(aws.endpoint, 'key service'),
          SALLYPORT_KEYS_AWS_ACCESS_KEY_ID: aws.accessKeyId,
          SALLYPORT_KEYS_AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
        },
        file: {
          egress: { insecureAllowOrigins: [at] },
          jwtIssuers: [{ issuer: 'https://issuer.test', audiences: ['gateway'], algorithms: ['RS256'], keysUri: `${at}/keys` }],
          providers: {
            github: {
              authorizationEndpoint: `${at}/authorize`,
              tokenEndpoint: `${at}/token`,
              userinfoEndpoint: `${at}/user`,
              apiBase: `${at}/api`,
            },
          },
          models: {
            providers: [
              { id: 'openai', base: at },
              { id: 'vertex', base: at, tokenEndpoint: `${at}/accounts` },
            ],
          },
        },
      })
      cleanups.push(() => gateway.stop())
      const owner = await signInOwner(gateway)
      const { client, place } = owner
      const { id: integration } = await client.call('integrationCreate', {
        params: place,
        body: { slug: 'api', provider: 'github', client_id: 'id', client_secret: 'not-a-secret', scopes: [] },
      })
      const connection = await connectAccount(owner, 'user-1')
      await client.call('connectionRefresh', { params: { ...place, connection } })
      const key = await createKey(owner, ['proxy:call', 'llm:call'])
      const authorization = `Bearer ${key}`
      const statusOf = async (path: string, init: RequestInit): Promise<number> => (await fetch(`${gateway.url}${path}`, init)).status
      expect(await statusOf('/proxy/api/x', { headers: { authorization, 'sallyport-connection': connection } })).toBe(200)

      const signedBy = pair.privateKey.export({ type: 'pkcs8', format: 'pem' })
      const account = { type: 'service_account', project_id: 'p-1', client_email: 'a@p-1.test', private_key: signedBy, private_key_id: 'k' }
      await keepKey(owner, { provider: 'openai', secret: 'not-a-real-openai-key' })
      await keepKey(owner, { provider: 'vertex', secret: JSON.stringify(account), settings: { location: 'europe-west4' } })
      const asked = { method: 'POST', headers: { authorization }, body: '{}' }
      expect(await statusOf('/llm/openai/v1/responses', asked)).toBe(200)
      const ofVertex = '/v1/projects/p/locations/europe-west4/publishers/google/models/m:generateContent'
      expect(await statusOf(`/llm/vertex${ofVertex}`, asked)).toBe(200)

      const stranger = { authorization: `Bearer ${tokenOf('https://issuer.test', 'at+jwt')}` }
      expect(await statusOf('/api/v1/whoami', { headers: stranger })).toBe(401)
      const { source } = await client.call('eventSourceCreate', {
        params: { ...place, integration },
        body: { kind: 'set', issuers: ['https://events.test'], keys_uri: `${at}/set-keys`, audiences: ['gateway'] },
      })
      const said = {
        method: 'POST',
        headers: { 'content-type': 'application/secevent+jwt' },
        body: tokenOf('https://events.test', 'secevent+jwt'),
      }
      expect(await statusOf(new URL(source.url).pathname, said)).toBe(400)

      await client.call('connectionRevoke', { params: { ...place, connection } })
      const known = (): string[] => [...from.keys()].toSorted()
      await expect.poll(() => known().filter((what) => what.startsWith('DELETE '))).not.toEqual([])
      expect(known()).toEqual([
        'DELETE /api/applications/id/grant',
        'GET /api/x',
        'GET /keys',
        'GET /set-keys',
        'GET /user',
        'POST /accounts',
        'POST /token',
        `POST ${ofVertex}`,
        'POST /v1/responses',
        'key service',
      ])
      for (const [what, addresses] of from) expect([...addresses], what).toEqual([LOCAL])
    },
  )
})
