/** The sandbox GitHub as Octokit meets it, and the corrections to what the emulator gets wrong. */
import { Octokit } from '@octokit/rest'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startSandbox, type Sandbox } from '../src/index.ts'
import { askToken, codeFor, connect, pkce, userInfo } from './flow.ts'

let sandbox: Sandbox
let octokit: Octokit
beforeAll(async () => {
  sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
  const { access_token } = await connect(sandbox.github)
  // Octokit reports refused calls on standard error; the expectations say which ones are refused.
  const log = { debug: () => undefined, info: () => undefined, warn: console.warn, error: () => undefined }
  octokit = new Octokit({ auth: access_token, baseUrl: sandbox.github.apiBase, log })
})
afterAll(() => sandbox.close())

describe('the sandbox GitHub', () => {
  it('lets Octokit list all repositories over the pages that its Link headers name', async () => {
    const pages: number[] = []
    const names: string[] = []
    for await (const { data, headers } of octokit.paginate.iterator(octokit.repos.listForAuthenticatedUser, { per_page: 10 })) {
      pages.push(data.length)
      names.push(...data.map((repository) => repository.full_name))
      for (const [, url] of (headers.link ?? '').matchAll(/<([^>]+)>/g)) expect(new URL(url ?? '').origin).toBe(sandbox.github.origin)
    }
    expect(pages.length).toBeGreaterThan(3)
    expect(new Set(names).size).toBeGreaterThanOrEqual(35)
  })

  it('lets Octokit create an issue and read it again', async () => {
    const where = { owner: 'octo-sandbox', repo: 'octo-sandbox-repo-01' }
    const created = await octokit.issues.create({ ...where, title: 'The gate opens' })
    expect(created.status).toBe(201)
    const read = await octokit.issues.get({ ...where, issue_number: created.data.number })
    expect([read.data.title, read.data.user?.login]).toEqual(['The gate opens', 'octo-sandbox'])
  })

  it("gives GitHub's own 404 for a repository that is not there", async () => {
    await expect(octokit.repos.get({ owner: 'octo-sandbox', repo: 'nowhere' })).rejects.toMatchObject({
      status: 404,
      response: { data: { message: 'Not Found' } },
    })
  })

  it('names only its own origin in what it answers', async () => {
    const { data } = await octokit.repos.get({ owner: 'octo-sandbox', repo: 'octo-sandbox-repo-01' })
    for (const [url] of JSON.stringify(data).matchAll(/http:\/\/[^/"]+/g)) expect(url).toBe(sandbox.github.origin)
  })

  it('answers the token request as a form unless JSON is asked for, and names scopes with commas', async () => {
    const { verifier, challenge } = pkce()
    const response = await fetch(sandbox.github.tokenEndpoint, {
      method: 'POST',
      body: new URLSearchParams({
        client_id: sandbox.github.clientId,
        client_secret: sandbox.github.clientSecret,
        code: await codeFor(sandbox.github, challenge),
        code_verifier: verifier,
      }),
    })
    const form = new URLSearchParams(await response.text())
    expect([form.get('scope'), form.get('token_type')]).toEqual(['openid,email', 'bearer'])
  })

  it('gives no refresh token and takes none', async () => {
    expect(await connect(sandbox.github)).not.toHaveProperty('refresh_token')
    const { body } = await askToken(sandbox.github, { grant_type: 'refresh_token', refresh_token: 'made-up' })
    expect(body.error).toBe('unsupported_grant_type')
  })

  it('V-08 takes a token back for its client alone, and refuses it from then on', async () => {
    const { access_token } = await connect(sandbox.github)
    const other = await connect(sandbox.github)
    const revoke = (secret: string): Promise<Response> =>
      fetch(`${sandbox.github.apiBase}/applications/${sandbox.github.clientId}/token`, {
        method: 'DELETE',
        body: JSON.stringify({ access_token }),
        headers: { authorization: `Basic ${Buffer.from(`${sandbox.github.clientId}:${secret}`).toString('base64')}` },
      })
    expect((await revoke('wrong')).status).toBe(401)
    expect((await userInfo(sandbox.github, access_token)).status).toBe(200)
    expect((await revoke(sandbox.github.clientSecret)).status).toBe(204)
    expect((await userInfo(sandbox.github, access_token)).status).toBe(401)
    expect((await userInfo(sandbox.github, other.access_token)).status).toBe(200)
    expect((await revoke(sandbox.github.clientSecret)).status).toBe(404)
  })

  it('takes a whole grant back, with every token of that user', async () => {
    const tokens = [await connect(sandbox.github, 'second-sandbox'), await connect(sandbox.github, 'second-sandbox')]
    const response = await fetch(`${sandbox.github.apiBase}/applications/${sandbox.github.clientId}/grant`, {
      method: 'DELETE',
      body: JSON.stringify({ access_token: tokens[0]?.access_token }),
      headers: { authorization: `Basic ${Buffer.from(`${sandbox.github.clientId}:${sandbox.github.clientSecret}`).toString('base64')}` },
    })
    expect(response.status).toBe(204)
    for (const { access_token } of tokens) expect((await userInfo(sandbox.github, access_token)).status).toBe(401)
  })

  it("keeps the emulator's own revocation page shut, because its tokens would live on", async () => {
    const path = `/settings/connections/applications/${sandbox.github.clientId}/revoke`
    expect((await fetch(sandbox.github.origin + path, { method: 'POST' })).status).toBe(404)
  })
})
