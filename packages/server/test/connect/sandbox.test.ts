/** The flow against emulated GitHub and Google, whose strict fronts verify PKCE and know only the tokens they gave out. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { parseId, readTokenSet, Secret } from '@sallyport/core'
import { signIn, startSandbox } from '../../../sandbox/src/index.ts'
import type { Sandbox } from '../../../sandbox/src/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { credentialHead } from '../../src/db/index.ts'
import { Browser, createGateway } from './harness.ts'
import type { Gateway } from './harness.ts'

let sandbox: Sandbox
let gateway: Gateway

beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
  gateway = await createGateway(inject('postgresUrl'), {
    overlays: { github: sandbox.github, google: sandbox.google },
    insecureAllowOrigins: [sandbox.github.origin, sandbox.google.origin],
  })
  await gateway.register('github', 'github', sandbox.github, ['repo', 'read:user'])
  await gateway.register('google', 'google', sandbox.google, ['openid', 'email'])
})
afterAll(async () => {
  await gateway.close()
  await sandbox.close()
})

describe.each([
  { integration: 'github', user: 'octo-sandbox', label: 'octo-sandbox', path: '/user/repos', refreshes: false },
  {
    integration: 'google',
    user: 'ada@sandbox.example',
    label: 'ada@sandbox.example',
    path: '/gmail/v1/users/me/messages',
    refreshes: true,
  },
] as const)('an account at $integration', ({ integration, user, label, path, refreshes }) => {
  it('O-14 connects through a server that verifies the proof key, and its token opens the API', async () => {
    const { session, link } = await gateway.begin({ integration })
    const browser = new Browser(gateway.nodes[0])
    const callback = await signIn(await browser.leave(link), user)
    const back = new URL((await browser.get(callback)).location!)
    const code = new Secret(back.searchParams.get('connect_code')!)
    const made = await gateway.connect.complete(gateway.key, gateway.place, parseId('cs', session.id)!, { code, endUserId: 'user-1' })
    expect(made).toMatchObject({ status: 'active', account: { label } })

    const head = (await gateway.database.withTenant(gateway.place.org, (tx) => credentialHead(tx, made.id)))!
    const tokens = readTokenSet(await gateway.vault.open(gateway.place.org, credentialPlace(made.id, head.seq), head.sealed))
    expect(tokens.refreshToken !== null).toBe(refreshes)
    expect(tokens.expiresAt !== null).toBe(refreshes)
    const answer = await fetch(`${sandbox[integration].apiBase}${path}`, {
      headers: { authorization: `Bearer ${tokens.accessToken.reveal()}` },
    })
    expect(answer.status).toBe(200)
  })

  it('that was declined is not connected', async () => {
    const { link } = await gateway.begin({ integration })
    const browser = new Browser(gateway.nodes[0])
    const away = new URL(await browser.leave(link))
    const declined = `${away.searchParams.get('redirect_uri')}?error=access_denied&state=${away.searchParams.get('state')}`
    expect((await browser.get(declined)).status).toBe(403)
  })
})
