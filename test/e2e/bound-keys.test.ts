/** Keys that are bound to addresses and senders, on calls through a gateway process; the client that proves itself is an independent library. */
import { allowInsecureRequests, DPoP, generateKeyPair, isDPoPNonceError, protectedResourceRequest } from 'oauth4webapi'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'

let stage: Stage
beforeAll(async () => {
  stage = await setStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: { trustedProxies: ['127.0.0.1'], senders: { requireNonce: true, certificateHeader: 'x-forwarded-client-cert' } },
  })
  stage.upstream.answer((_request, response) => void response.end('from the provider'))
})
afterAll(() => stage?.close())

const makeKey = async (more: object): Promise<{ id: string; secret: string }> => {
  const { client, place } = stage.owner
  const { key, secret } = await client.call('keyCreate', { params: place, body: { name: 'bound', scopes: ['proxy:call'], ...more } })
  return { id: key.id, secret }
}
const call = (secret: string, headers: Record<string, string> = {}): Promise<Response> =>
  stage.call('/user', { headers: { authorization: `Bearer ${secret}`, 'sallyport-connection': stage.connection, ...headers } })

async function codeOf(answer: Response): Promise<[number, unknown]> {
  return [answer.status, ((await answer.json()) as { code: unknown }).code]
}

describe('S79 a key that is held to addresses', () => {
  it('calls out from there, and reaches no provider from elsewhere; the refusal is in the log of requests', async () => {
    const { id, secret } = await makeKey({ allowed_addresses: ['198.51.100.0/24', '2001:db8::/32'] })
    for (const address of ['198.51.100.7', '2001:db8::7']) {
      expect((await call(secret, { 'x-forwarded-for': address })).status).toBe(200)
    }
    const before = stage.upstream.seen.length
    for (const address of ['198.51.101.7', '198.51.100.7, 203.0.113.9', '2001:db9::7']) {
      expect(await codeOf(await call(secret, { 'x-forwarded-for': address }))).toEqual([403, 'address_refused'])
    }
    expect(await codeOf(await call(secret))).toEqual([403, 'address_refused'])
    expect(stage.upstream.seen).toHaveLength(before)
    await expect
      .poll(async () => {
        const { data } = await stage.owner.client.call('requestList', { params: stage.owner.place })
        return data.filter(({ key, error }) => key === id && error === 'address_refused').length
      })
      .toBe(4)
  })

  it('R-12 is held to others from one call to the next', async () => {
    const { id, secret } = await makeKey({ allowed_addresses: ['198.51.100.0/24'] })
    const here = { 'x-forwarded-for': '203.0.113.9' }
    expect((await call(secret, here)).status).toBe(403)
    const params = { ...stage.owner.place, key: id }
    await stage.owner.client.call('keyUpdate', { params, body: { allowed_addresses: ['203.0.113.9'] } })
    expect((await call(secret, here)).status).toBe(200)
    await stage.owner.client.call('keyUpdate', { params, body: { allowed_addresses: ['198.51.100.0/24'] } })
    expect((await call(secret, here)).status).toBe(403)
  })
})

describe('S121 a key that is for web pages', () => {
  it('R-08 calls out by its pages alone, which read the answer where the project lists them too', async () => {
    const page = 'https://app.test'
    const { secret } = await makeKey({ allowed_origins: [page] })
    const { client, place } = stage.owner
    const before = stage.upstream.seen.length
    for (const origin of ['https://evil.test', 'https://sub.app.test', 'null'])
      expect(await codeOf(await call(secret, { origin }))).toEqual([403, 'origin_refused'])
    expect(await codeOf(await call(secret))).toEqual([403, 'origin_refused'])
    expect(stage.upstream.seen).toHaveLength(before)
    const readable = async () => {
      const answer = await call(secret, { origin: page })
      return [answer.status, answer.headers.get('access-control-allow-origin')]
    }
    expect(await readable()).toEqual([200, null])
    await client.call('browserAccessUpdate', { params: { org: place.org, project: place.project }, body: { origins: [page] } })
    expect(await readable()).toEqual([200, page])
    expect(stage.upstream.seen).toHaveLength(before + 2)
  })
})

describe('N11 a key that is bound to a DPoP key', () => {
  it('is used by a client of the standard, which is asked for a nonce once; its proofs go no further', async () => {
    const pair = await generateKeyPair('ES256')
    const handle = DPoP({}, pair)
    const { secret } = await makeKey({ sender: { kind: 'dpop', thumbprint: await handle.calculateThumbprint() } })
    const url = new URL(`${stage.gateway.url}/proxy/api/user?page=2`)
    const headers = new Headers({ 'sallyport-connection': stage.connection })
    const request = () => protectedResourceRequest(secret, 'GET', url, headers, null, { DPoP: handle, [allowInsecureRequests]: true })
    const refused: unknown = await request().catch((error: unknown) => error)
    expect(isDPoPNonceError(refused)).toBe(true)
    const before = stage.upstream.seen.length
    expect(await (await request()).text()).toBe('from the provider')
    expect((await request()).status).toBe(200)
    for (const seen of stage.upstream.seen.slice(before)) {
      expect(seen.headers).not.toHaveProperty('dpop')
      expect(seen.headers.authorization).toBe(`Bearer ${stage.token}`)
    }
    expect(stage.upstream.seen.length - before).toBe(2)
    const other = DPoP({}, await generateKeyPair('ES256'))
    const stolen: unknown = await protectedResourceRequest(secret, 'GET', url, headers, null, {
      DPoP: other,
      [allowInsecureRequests]: true,
    }).catch((error: unknown) => error)
    expect(stolen).toMatchObject({ status: 401 })
    expect(stage.upstream.seen.length - before).toBe(2)
  })

  it('is worth nothing without its proof', async () => {
    const { secret } = await makeKey({ sender: { kind: 'dpop', thumbprint: 'A'.repeat(43) } })
    const answer = await call(secret)
    expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP realm="sallyport", algs="ES256/u)
    expect(await codeOf(answer)).toEqual([401, 'proof_required'])
  })
})

describe('N11 a key that is bound to a client certificate', () => {
  it('calls out with the certificate that the trusted proxy names, which goes no further', async () => {
    const hash = 'a1'.repeat(32)
    const { secret } = await makeKey({ sender: { kind: 'certificate', thumbprint: Buffer.from(hash, 'hex').toString('base64url') } })
    expect((await call(secret, { 'x-forwarded-client-cert': `Hash=${hash};URI=spiffe://a/b` })).status).toBe(200)
    expect(stage.upstream.seen.at(-1)!.headers).not.toHaveProperty('x-forwarded-client-cert')
    expect(await codeOf(await call(secret, { 'x-forwarded-client-cert': `Hash=${'b2'.repeat(32)}` }))).toEqual([
      401,
      'certificate_mismatch',
    ])
    expect(await codeOf(await call(secret))).toEqual([401, 'certificate_required'])
  })
})
