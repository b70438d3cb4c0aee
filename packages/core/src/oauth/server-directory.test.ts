import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { createServerDirectory } from './server-directory.ts'
import type { AuthorizationServer } from './server.ts'

const ISSUER = 'https://id.example'
const HOUR_MS = 3_600_000

const server: AuthorizationServer = {
  issuer: ISSUER,
  responseIssuer: 'checked',
  authorizationEndpoint: `${ISSUER}/authorize`,
  tokenEndpoint: `${ISSUER}/token`,
  tokenAuth: 'client_secret_post',
  scopeSeparator: ' ',
  authorizationParams: {},
  tokenQuirks: [],
  discovery: true,
}

/** A server that publishes these, or null where it is away. */
function directoryOf(published: object | null) {
  const clock = new ManualClock()
  let now = published
  let asked = 0
  const fetch = async (): Promise<Response> => {
    asked++
    if (now === null) return new Response('', { status: 503 })
    return new Response(JSON.stringify({ issuer: ISSUER, ...now }), { headers: { 'content-type': 'application/json' } })
  }
  const publish = (next: object | null): void => void (now = next)
  return { clock, directory: createServerDirectory({ fetch, clock }), publish, asked: () => asked }
}

describe('what a server publishes', () => {
  it('is added to its record: pushed requests, its own name in answers, bound tokens where the record leaves that to it', async () => {
    const { directory } = directoryOf({
      pushed_authorization_request_endpoint: `${ISSUER}/par`,
      require_pushed_authorization_requests: true,
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['plain', 'S256'],
      dpop_signing_alg_values_supported: ['ES256'],
    })
    const complete = await directory.complete({ ...server, tokenBinding: 'offered' })
    expect(complete).toEqual({
      ...server,
      responseIssuer: 'required',
      pushedAuthorizationRequestEndpoint: `${ISSUER}/par`,
      requirePushedAuthorizationRequests: true,
      tokenBinding: 'dpop',
    })
    expect((await directory.complete(server)).tokenBinding).toBeUndefined()
  })

  it('adds nothing where it says nothing, and is not asked for where the record does not say so', async () => {
    const { directory, asked } = directoryOf({})
    expect(await directory.complete({ ...server, tokenBinding: 'offered' })).toEqual({
      ...server,
      pushedAuthorizationRequestEndpoint: undefined,
      requirePushedAuthorizationRequests: false,
      tokenBinding: undefined,
    })
    expect(asked()).toBe(1)
    const { discovery: _discovery, ...plain } = server
    expect(await directory.complete(plain)).toBe(plain)
    expect(asked()).toBe(1)
  })

  it('takes no strictness from the record', async () => {
    const { directory } = directoryOf({
      require_pushed_authorization_requests: false,
      authorization_response_iss_parameter_supported: false,
    })
    const strict = { responseIssuer: 'required', requirePushedAuthorizationRequests: true, tokenBinding: 'dpop' } as const
    expect(await directory.complete({ ...server, ...strict })).toMatchObject(strict)
  })

  it('is asked for once by any number at once, and once an hour', async () => {
    const { directory, asked, clock } = directoryOf({})
    await Promise.all(Array.from({ length: 50 }, () => directory.complete(server)))
    clock.advance(HOUR_MS - 1)
    await directory.complete(server)
    expect(asked()).toBe(1)
    clock.advance(1)
    await directory.complete(server)
    expect(asked()).toBe(2)
  })

  it('stands in for a day where the server is away, and is never made up', async () => {
    const { directory, clock, publish } = directoryOf({ pushed_authorization_request_endpoint: `${ISSUER}/par` })
    const first = await directory.complete(server)
    publish(null)
    clock.advance(23 * HOUR_MS)
    expect(await directory.complete(server)).toEqual(first)
    clock.advance(HOUR_MS)
    await expect(directory.complete(server)).rejects.toMatchObject({ code: 'connect_exchange_failed' })
    publish({})
    expect(await directory.complete(server)).toMatchObject({ pushedAuthorizationRequestEndpoint: undefined })
  })

  it.each([
    ['another authorization endpoint', { authorization_endpoint: 'https://id.example/elsewhere' }],
    ['another token endpoint', { token_endpoint: 'https://other.example/token' }],
    ['an endpoint for pushed requests at an origin of others', { pushed_authorization_request_endpoint: 'https://other.example/par' }],
    ['no proof keys by S256', { code_challenge_methods_supported: ['plain'] }],
    ['no proofs by ES256', { dpop_signing_alg_values_supported: ['RS256'] }],
  ])('O-16 refuses a server that publishes %s', async (_what, published) => {
    const { directory } = directoryOf(published)
    await expect(directory.complete({ ...server, tokenBinding: 'dpop' })).rejects.toMatchObject({ code: 'provider_misconfigured' })
  })
})
