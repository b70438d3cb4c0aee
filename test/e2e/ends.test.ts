/** The end of connections through a whole gateway, as applications, operators and providers bring it about. */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { connectAccount, createKey, setStage, SLUG } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { serverUnderTest } from './server-under-test.ts'

let stage: Stage
let providerDown = false
beforeAll(async () => {
  stage = await setStage({ postgresUrl: serverUnderTest(inject('postgresUrl')) })
  stage.upstream.answer((request, response) => {
    const isRevocation = request.method === 'DELETE' && request.url?.startsWith('/applications/') === true
    if (isRevocation) response.writeHead(providerDown ? 503 : 204).end()
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
  })
})
afterAll(() => stage?.close())

/** A connection of its own account, and calls through it. */
async function connected(account: number): Promise<{ readonly id: string; readonly token: string; call(): Promise<Response> }> {
  stage.issuer.behave({ account: { id: account, login: `user-${account}` } })
  const id = await connectAccount(stage.owner, `user-${account}`)
  const token = stage.issuer.tokens.at(-1)!
  const headers = { authorization: `Bearer ${stage.key}`, 'sallyport-connection': id }
  return { id, token, call: () => fetch(`${stage.gateway.url}/proxy/${SLUG}/user`, { headers }) }
}

const revocations = () => stage.upstream.seen.filter(({ method }) => method === 'DELETE')
const { stringify } = JSON

describe('a connection', () => {
  it('S69 V-08 that is disconnected lets no call through, and its token is taken back at the provider', async () => {
    const connection = await connected(101)
    expect((await connection.call()).status).toBe(200)
    const before = revocations().length
    const answer = await stage.owner.client.call('connectionRevoke', { params: { ...stage.owner.place, connection: connection.id } })
    expect(answer).toMatchObject({
      connection: { id: connection.id, status: 'revoked' },
      provider_revocation: { state: 'done', reason: null },
    })
    const denied = await connection.call()
    expect([denied.status, await denied.json()]).toMatchObject([409, { code: 'reconnect_required' }])
    const [asked, ...others] = revocations().slice(before)
    expect(others).toEqual([])
    expect(asked!.url).toBe(`/applications/${stage.issuer.clientId}/grant`)
    expect(Buffer.concat(asked!.body).toString()).toBe(stringify({ access_token: connection.token }))
  })

  it('V-08 that is disconnected while the provider is down is over here, and told to the provider later', async () => {
    const connection = await connected(102)
    providerDown = true
    const params = { ...stage.owner.place, connection: connection.id }
    expect((await stage.owner.client.call('connectionRevoke', { params })).provider_revocation).toMatchObject({ state: 'queued' })
    expect((await connection.call()).status).toBe(409)
    const told = () => revocations().filter(({ body }) => Buffer.concat(body).toString().includes(connection.token)).length
    const before = told()
    providerDown = false
    // Tried again 15 seconds later, and looked at as often.
    await expect.poll(told, { timeout: 50_000 }).toBeGreaterThan(before)
    const state = async () => (await stage.owner.client.call('connectionRevoke', { params })).provider_revocation.state
    await expect.poll(state, { timeout: 10_000 }).toBe('done')
    expect(told()).toBe(before + 1)
  })

  it('N5 S75 of a person who took the authorization back at GitHub lets no call through within two seconds', async () => {
    const connection = await connected(103)
    expect((await connection.call()).status).toBe(200)
    const { data } = await stage.owner.client.call('integrationList', { params: stage.owner.place, query: {} })
    const params = { ...stage.owner.place, integration: data[0]!.id }
    const { source, secret } = await stage.owner.client.call('eventSourceCreate', { params, body: { kind: 'github' } })
    const body = stringify({ action: 'revoked', sender: { id: 103 } })
    const begun = performance.now()
    const sent = await fetch(source.url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-github-event': 'github_app_authorization',
        'x-github-delivery': 'a-delivery',
        'x-hub-signature-256': `sha256=${createHmac('sha256', secret!).update(body).digest('hex')}`,
      },
    })
    expect(sent.status).toBe(200)
    // By then it has happened: no call slips through afterwards.
    expect((await connection.call()).status).toBe(409)
    expect(performance.now() - begun).toBeLessThan(2_000)
    const listed = await stage.owner.client.call('eventSourceList', { params, query: {} })
    expect(listed.data[0]!.received_at).not.toBeNull()
    expect(JSON.stringify(listed)).not.toContain(secret!)
  })

  it('S69 of an end user who is forgotten is gone, with the keys that were bound to it', async () => {
    const connection = await connected(104)
    const bound = await createKey(stage.owner, ['proxy:call'], { connection: connection.id })
    const params = { ...stage.owner.place, end_user: 'user-104' }
    expect(await stage.owner.client.call('endUserDelete', { params })).toMatchObject({ connections: 1, keys: 1, provider_revocations: 1 })
    const answer = await fetch(`${stage.gateway.url}/proxy/${SLUG}/user`, { headers: { authorization: `Bearer ${bound}` } })
    expect(answer.status).toBe(401)
    await expect(
      stage.owner.client.call('connectionGet', { params: { ...stage.owner.place, connection: connection.id } }),
    ).rejects.toMatchObject({ status: 404 })
    await expect(stage.owner.client.call('endUserDelete', { params })).rejects.toMatchObject({ status: 404 })
  })

  it('N14 V-07 ends with all others of its integration, after a dry run', async () => {
    const connection = await connected(105)
    const { org } = stage.owner.place
    const shown = await stage.owner.client.call('bulkRevocationCreate', { params: { org }, body: { provider: 'github', dry_run: true } })
    expect(shown.bulk_revocation).toBeNull()
    expect(shown.radius.connections).toBeGreaterThan(0)
    expect((await connection.call()).status).toBe(200)
    const begun = await stage.owner.client.call('bulkRevocationCreate', { params: { org }, body: { provider: 'github', dry_run: false } })
    const bulk = begun.bulk_revocation!.id
    const standing = () => stage.owner.client.call('bulkRevocationGet', { params: { org, bulk } })
    await expect.poll(async () => (await standing()).state, { timeout: 50_000 }).toBe('done')
    expect((await connection.call()).status).toBe(409)
    expect((await stage.owner.client.call('auditVerify', { params: { org } })).intact).toBe(true)
    await expect(stage.owner.client.call('bulkRevocationCreate', { params: { org }, body: { dry_run: false } })).rejects.toMatchObject({
      status: 400,
    })
  })
})
