import { Octokit } from '@octokit/rest'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createKey, signInOwner, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess, Owner } from '@sallyport/testkit'
import { signIn, startSandbox, submitFirstForm } from '@sallyport/sandbox'
import type { Sandbox } from '@sallyport/sandbox'
import { serverUnderTest } from './server-under-test.ts'

let sandbox: Sandbox
let gateway: GatewayProcess
let owner: Owner
let octokit: Octokit
let key: string

/** As an application does it: a backend's key begins, the person's browser signs in, the backend confirms. */
async function connectGitHub(user: string): Promise<string> {
  const backend = await createKey(owner, ['connect_sessions:write'])
  const { client, place } = owner
  await client.call('projectUpdate', { params: { org: place.org, project: place.project }, body: { return_origins: ['https://app.test'] } })
  const headers = { authorization: `Bearer ${backend}`, 'content-type': 'application/json' }
  const base = `${gateway.url}/api/v1/orgs/${place.org}/projects/${place.project}/${place.environment}/connect-sessions`
  const begun = await fetch(base, {
    method: 'POST',
    headers,
    body: JSON.stringify({ integration: 'github', end_user_id: 'u1', return_to: 'https://app.test/done?a=1' }),
  })
  const { session, link } = (await begun.json()) as { session: { id: string }; link: string }
  const callback = await signIn(await submitFirstForm(owner.browser, link), user)
  const back = new URL((await owner.browser(callback)).headers.get('location')!)
  expect([back.origin, back.pathname, back.searchParams.get('a')]).toEqual(['https://app.test', '/done', '1'])
  const completed = await fetch(`${base}/${session.id}/complete`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ code: back.searchParams.get('connect_code'), end_user_id: 'u1' }),
  })
  expect(completed.status).toBe(200)
  const connection = (await completed.json()) as { id: string; status: string; account: { label: string } }
  expect(connection).toMatchObject({ status: 'active', account: { label: user } })
  return connection.id
}

beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
  const { origin, clientId, clientSecret } = sandbox.github
  gateway = await startGatewayProcess({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: {
      egress: { insecureAllowOrigins: [origin] },
      providers: {
        github: {
          authorizationEndpoint: `${origin}/login/oauth/authorize`,
          tokenEndpoint: `${origin}/login/oauth/access_token`,
          userinfoEndpoint: `${origin}/user`,
          apiBase: origin,
        },
      },
    },
  })
  owner = await signInOwner(gateway)
  await owner.client.call('integrationCreate', {
    params: owner.place,
    body: { slug: 'github', provider: 'github', client_id: clientId, client_secret: clientSecret, scopes: ['repo'] },
  })
  const connection = await connectGitHub(sandbox.github.users[0]!)
  key = await createKey(owner, ['proxy:call'], { connection })
  octokit = new Octokit({ auth: key, baseUrl: `${gateway.url}/proxy/github` })
})
afterAll(async () => {
  await gateway.stop()
  await sandbox.close()
})

describe('Octokit, unmodified, with another base URL and a gateway key', () => {
  it('is the connected account', async () => {
    expect((await octokit.users.getAuthenticated()).data.login).toBe(sandbox.github.users[0])
  })

  it('follows pagination links through the gateway to the last repository', async () => {
    const repositories = await octokit.paginate(octokit.repos.listForAuthenticatedUser, { per_page: 10 })
    expect(repositories.length).toBeGreaterThanOrEqual(35)
    expect(new Set(repositories.map(({ id }) => id)).size).toBe(repositories.length)
  })

  it('creates an issue and reads it back', async () => {
    const [repository] = (await octokit.repos.listForAuthenticatedUser({ per_page: 1 })).data
    const at = { owner: repository!.owner.login, repo: repository!.name }
    const made = await octokit.issues.create({ ...at, title: 'Through the gate – ünïcödé', body: 'a body' })
    expect(made.status).toBe(201)
    expect((await octokit.issues.get({ ...at, issue_number: made.data.number })).data.title).toBe('Through the gate – ünïcödé')
  })

  it("gets GitHub's own 404 as GitHub's own error", async () => {
    const missing = octokit.repos.get({ owner: sandbox.github.users[0]!, repo: 'no-such-repository' })
    await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('Not Found') as string })
    const response = await fetch(`${gateway.url}/proxy/github/repos/x/no-such-repository`, { headers: { authorization: `Bearer ${key}` } })
    expect(response.headers.get('sallyport-error-source')).toBe('provider')
    expect(await response.json()).toMatchObject({ message: 'Not Found' })
  })

  it("gets the gateway's own refusal as a problem, told apart from GitHub's", async () => {
    const stranger = new Octokit({ auth: key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'), baseUrl: `${gateway.url}/proxy/github` })
    await expect(stranger.users.getAuthenticated()).rejects.toMatchObject({
      status: 401,
      response: { headers: { 'sallyport-error-source': 'gateway' }, data: expect.anything() as unknown },
    })
  })
})
