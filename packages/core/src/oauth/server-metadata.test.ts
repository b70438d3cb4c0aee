import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { readServerMetadata } from './server-metadata.ts'
import type { OutboundFetch } from './server.ts'

const ISSUER = 'https://id.example/tenant'
const document = {
  issuer: ISSUER,
  authorization_endpoint: 'https://id.example/tenant/authorize',
  token_endpoint: 'https://id.example/tenant/token',
  pushed_authorization_request_endpoint: 'https://id.example/tenant/par',
  require_pushed_authorization_requests: true,
  authorization_response_iss_parameter_supported: true,
  code_challenge_methods_supported: ['S256'],
  dpop_signing_alg_values_supported: ['ES256', 7, 'EdDSA'],
}

const OAUTH = 'https://id.example/.well-known/oauth-authorization-server/tenant'
const OPENID = 'https://id.example/tenant/.well-known/openid-configuration'

/** Answers by address; what has none is not there. */
function publishing(answers: Readonly<Record<string, unknown>>, init: ResponseInit = {}) {
  const asked: string[] = []
  const fetch: OutboundFetch = async (url) => {
    asked.push(url)
    const headers = { 'content-type': 'application/json' }
    if (!Object.hasOwn(answers, url)) return new Response('', { status: 404 })
    const body = answers[url]
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { headers, ...init })
  }
  return { asked, fetch }
}

const read = (answers: Readonly<Record<string, unknown>>, init?: ResponseInit) =>
  readServerMetadata(ISSUER, publishing(answers, init).fetch)

describe("a server's metadata", () => {
  it('is read at the address of RFC 8414, and what it does not say is its standard', async () => {
    const { asked, fetch } = publishing({ [OAUTH]: document })
    expect(await readServerMetadata(ISSUER, fetch)).toEqual({
      issuer: ISSUER,
      authorizationEndpoint: document.authorization_endpoint,
      tokenEndpoint: document.token_endpoint,
      revocationEndpoint: undefined,
      deviceAuthorizationEndpoint: undefined,
      pushedAuthorizationRequestEndpoint: document.pushed_authorization_request_endpoint,
      requirePushedAuthorizationRequests: true,
      userinfoEndpoint: undefined,
      namesItself: true,
      codeChallengeMethods: ['S256'],
      tokenAuthMethods: ['client_secret_basic'],
      revocationAuthMethods: ['client_secret_basic'],
      dpopAlgorithms: ['ES256', 'EdDSA'],
    })
    expect(asked).toEqual([OAUTH])
  })

  it('is looked for at the address of OpenID Connect where there is nothing', async () => {
    const { asked, fetch } = publishing({ [OPENID]: { issuer: ISSUER } })
    expect(await readServerMetadata(ISSUER, fetch)).toMatchObject({ namesItself: false, requirePushedAuthorizationRequests: false })
    expect(asked).toEqual([OAUTH, OPENID])
    await expect(read({})).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })

  it('O-07 counts for no other issuer, however alike its name', async () => {
    for (const issuer of ['https://id.example/tenant/', 'https://id.example/other', 'https://ID.example/tenant', 'https://id.example', 7])
      await expect(read({ [OAUTH]: { ...document, issuer } })).rejects.toMatchObject({ code: 'provider_misconfigured' })
  })

  it('names no endpoint that a secret could be read on the way to', async () => {
    for (const endpoint of ['http://id.example/par', 'https://u:p@id.example/par', 'https://id.example/par#x', 'par', 7, {}])
      await expect(read({ [OAUTH]: { ...document, pushed_authorization_request_endpoint: endpoint } })).rejects.toMatchObject({
        code: 'provider_misconfigured',
      })
  })

  it('that is no document is not read, and nothing of it is in the error', async () => {
    for (const body of ['<html>canary</html>', '["canary"]', '{"issuer":', 'null'])
      await expect(read({ [OAUTH]: body })).rejects.toSatisfy((error: Error) => !inspect(error).includes('canary'))
    await expect(read({ [OAUTH]: document }, { status: 503 })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    // A redirect is followed nowhere: the answer would be another's.
    await expect(read({ [OAUTH]: '' }, { status: 302 })).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    const away: OutboundFetch = () => Promise.reject(new EgressError('upstream_unreachable', 'ECONNREFUSED'))
    await expect(readServerMetadata(ISSUER, away)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
  })
})
