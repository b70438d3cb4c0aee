/** The end of a connection against emulated GitHub and Google, whose strict fronts refuse a token that was taken back. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import {
  createEgress,
  createLogger,
  DEFAULT_EGRESS_POLICY,
  noMetrics,
  parseId,
  readTokenSet,
  resolveProvider,
  Secret,
  systemClock,
} from '@sallyport/core'
import type { ConnectionId, TokenSet } from '@sallyport/core'
import { signIn, startSandbox } from '../../../sandbox/src/index.ts'
import type { Sandbox } from '../../../sandbox/src/index.ts'
import { credentialHead } from '../../src/db/index.ts'
import { createRevocationService } from '../../src/revocation/index.ts'
import type { RevocationService } from '../../src/revocation/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { Browser, createGateway } from '../connect/harness.ts'
import type { Gateway } from '../connect/harness.ts'

let sandbox: Sandbox
let gateway: Gateway
let service: RevocationService
const closing: (() => Promise<void>)[] = []

beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
  const overlays = { github: sandbox.github, google: sandbox.google }
  const insecureAllowOrigins = [sandbox.github.origin, sandbox.google.origin]
  gateway = await createGateway(inject('postgresUrl'), { overlays, insecureAllowOrigins })
  await gateway.register('github', 'github', sandbox.github, ['repo', 'read:user'])
  await gateway.register('google', 'google', sandbox.google, ['openid', 'email'])
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins })
  service = createRevocationService({
    database: gateway.database,
    vault: gateway.vault,
    lineage: gateway.lineage,
    fetch: (url, init) => egress.fetch(url, init),
    providers: (id) => resolveProvider(id, overlays[id as 'github' | 'google'], insecureAllowOrigins),
    clock: systemClock,
    logger: createLogger({ level: 'silent', format: 'json' }),
    metrics: noMetrics,
    patienceMs: 60_000,
  })
  closing.push(
    () => service.close(),
    () => egress.close(),
  )
})
afterAll(async () => {
  for (const close of closing) await close()
  await gateway?.close()
  await sandbox?.close()
})

async function connected(
  integration: 'github' | 'google',
  user: string,
  endUserId: string,
): Promise<{ id: ConnectionId; tokens: TokenSet }> {
  const { session, link } = await gateway.begin({ integration, endUserId })
  const browser = new Browser(gateway.nodes[0])
  const back = new URL((await browser.get(await signIn(await browser.leave(link), user))).location!)
  const code = new Secret(back.searchParams.get('connect_code')!)
  const { id } = await gateway.connect.complete(gateway.key, gateway.place, parseId('cs', session.id)!, { code, endUserId })
  const head = (await gateway.database.withTenant(gateway.place.org, (tx) => credentialHead(tx, id)))!
  return { id, tokens: readTokenSet(await gateway.vault.open(gateway.place.org, credentialPlace(id, head.seq), head.sealed)) }
}

async function isTaken(integration: 'github' | 'google', path: string, token: Secret): Promise<boolean> {
  const answer = await fetch(`${sandbox[integration].apiBase}${path}`, { headers: { authorization: `Bearer ${token.reveal()}` } })
  return answer.status === 200
}

const disconnect = (id: ConnectionId) => service.disconnect(gateway.place.org, gateway.place, id, 'system')

describe('a provider that is emulated', () => {
  it('S66 S1 refuses the access token of a connection that ended: GitHub', async () => {
    const { id, tokens } = await connected('github', 'octo-sandbox', 'user-1')
    expect(await isTaken('github', '/user', tokens.accessToken)).toBe(true)
    expect(await disconnect(id)).toMatchObject({ connection: { status: 'revoked' }, provider: { state: 'done' } })
    expect(await isTaken('github', '/user', tokens.accessToken)).toBe(false)
  })

  it('S66 S2 refuses both tokens of a connection that ended: Google', async () => {
    const { id, tokens } = await connected('google', 'ada@sandbox.example', 'user-1')
    const path = '/gmail/v1/users/me/messages'
    expect(await isTaken('google', path, tokens.accessToken)).toBe(true)
    expect(await disconnect(id)).toMatchObject({ provider: { state: 'done' } })
    expect(await isTaken('google', path, tokens.accessToken)).toBe(false)
    const { tokenEndpoint, clientId, clientSecret } = sandbox.google
    const form = {
      grant_type: 'refresh_token',
      refresh_token: tokens.refreshToken!.reveal(),
      client_id: clientId,
      client_secret: clientSecret,
    }
    const refused = await fetch(tokenEndpoint, { method: 'POST', body: new URLSearchParams(form) })
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: 'invalid_grant' }])
  })

  // Both providers end every grant of an account with one call.
  it('goes on taking the token of another connection of the same account', async () => {
    const [first, second] = [await connected('github', 'octo-sandbox', 'user-1'), await connected('github', 'octo-sandbox', 'user-2')]
    expect(await disconnect(first.id)).toMatchObject({ provider: { state: 'done' } })
    expect(await isTaken('github', '/user', first.tokens.accessToken)).toBe(false)
    expect(await isTaken('github', '/user', second.tokens.accessToken)).toBe(true)
    const [third, fourth] = [
      await connected('google', 'ada@sandbox.example', 'user-3'),
      await connected('google', 'ada@sandbox.example', 'user-4'),
    ]
    expect(await disconnect(third.id)).toMatchObject({ provider: { state: 'impossible', reason: 'shared_account' } })
    expect(await isTaken('google', '/gmail/v1/users/me/messages', fourth.tokens.accessToken)).toBe(true)
  })
})
