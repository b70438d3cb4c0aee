/** The programs in `examples`, run as they stand, and the catalog's providers as others emulate them. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signIn, startSandbox } from '@sallyport/sandbox'
import type { Sandbox, SandboxProvider } from '@sallyport/sandbox'
import { Sallyport } from '../../src/index.ts'
import type { ProviderConfig } from '../../src/index.ts'
import { main } from '../../../../examples/one-file.ts'

let sandbox: Sandbox
beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
})
afterAll(() => sandbox.close())

function clientAt(at: SandboxProvider, redirectUri: string): ProviderConfig {
  const { clientId, clientSecret, authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase, revocationEndpoint } = at
  const endpoints = { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase, revocationEndpoint }
  return { clientId, clientSecret, redirectUri, endpoints }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('the examples', () => {
  it('one-file.ts signs a person in at GitHub and lists their repositories', async () => {
    const { github } = sandbox
    const port = await freePort()
    const client = clientAt(github, `http://localhost:${port}/callback`)
    const end = await main(github.clientId, github.clientSecret, port, {
      providers: { github: { ...client, features: ['repositories.read', 'profile.read'] } },
      insecureAllowOrigins: [github.origin],
      logging: { level: 'silent' },
    })
    const sent = await fetch(`http://localhost:${port}/`, { redirect: 'manual' })
    const back = await signIn(sent.headers.get('location')!, github.users[0]!)
    const shown = await (await fetch(back)).text()
    expect(shown).toMatch(/^octo-sandbox: octo-sandbox\//u)
    expect(await (await fetch(back)).text()).toBe('state_used')
    await end()
  })
})

describe('the emulated providers', () => {
  it.each(['github', 'google'] as const)('V-08 %s connects, answers calls and takes its tokens back', async (name) => {
    const at = sandbox[name]
    const redirectUri = 'http://localhost:1/callback'
    const sallyport = await Sallyport.init({
      mode: 'development',
      tokenStore: { backend: 'memory' },
      providers: { [name]: clientAt(at, redirectUri) },
      insecureAllowOrigins: [new URL(at.tokenEndpoint).origin],
      logging: { level: 'silent' },
    })
    const of = { provider: name, userId: 'ada' }
    const { url } = await sallyport.connect(of)
    const { account, missingScopes } = await sallyport.handleCallback(await signIn(url, at.users[0]!), { userId: 'ada' })
    expect([account.label, missingScopes]).toEqual([at.users[0], []])
    const path =
      name === 'github' ? '/user' : new URL(at.userinfoEndpoint).pathname.slice(new URL(at.apiBase).pathname.replace(/\/$/u, '').length)
    expect((await sallyport.request({ ...of, path })).status).toBe(200)
    expect(await sallyport.disconnect(of)).toEqual({ kind: 'done' })
    await sallyport.close()
  })
})
