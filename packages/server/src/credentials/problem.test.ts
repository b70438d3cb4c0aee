import { describe, expect, it } from 'vitest'
import { createLogger, formatId, ManualClock, newId, RefreshError, TokenError } from '@sallyport/core'
import type { ConnectionId } from '@sallyport/core'
import { problemFor, problemHeaders } from '../http/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import { createExplain } from './problem.ts'
import type { ExplainOptions } from './problem.ts'

const place = { org: newId('org'), project: newId('proj'), environment: 'live' } as const
const MINUTE = 60_000

function principal(scopes: KeyPrincipal['scopes'] extends ReadonlySet<infer Scope> ? Scope[] : never): KeyPrincipal {
  return { kind: 'key', keyId: newId('key'), ...place, scopes: new Set(scopes), connection: null, auditUseMode: 'batched', bounds: null }
}

function stage(fails = false) {
  const clock = new ManualClock()
  let made = 0
  const connect = {
    createSession: async () => {
      if (fails) throw new Error('away')
      made += 1
      return { session: { id: `cs_${made}`, expires_at: '2030-01-01T00:00:00.000Z' }, link: `https://gateway.test/connect/${made}` }
    },
  }
  const database = {
    withTenant: async (_org: unknown, _work: unknown) => ({ integrationSlug: 'api', endUserId: 'user-1' }),
  }
  const explain = createExplain({
    connect: connect as unknown as ExplainOptions['connect'],
    database: database as unknown as ExplainOptions['database'],
    clock,
    logger: createLogger({ level: 'silent', format: 'json' }),
  })
  const facts = async (as: KeyPrincipal, connection: ConnectionId = newId('conn')) => {
    const at = { ...place, org: as.org }
    return problemFor(await explain(new RefreshError('reconnect_required', 'revoked'), as, at, connection), 'req_x')
  }
  return { explain, facts, clock, made: () => made }
}

describe('the problem of a credential', () => {
  it('S27 says what is wrong, of which connection, and when to come back', async () => {
    const connection = newId('conn')
    const error = await stage().explain(
      new RefreshError('provider_rate_limited', 'rate_limited', 61_500),
      principal(['proxy:call']),
      place,
      connection,
    )
    const problem = problemFor(error, 'req_x')
    expect(problem).toMatchObject({
      status: 503,
      code: 'provider_rate_limited',
      trouble: 'rate_limited',
      connection: formatId('conn', connection),
    })
    expect(problemHeaders(problem, error, 'req_x')['retry-after']).toBe('62')
    expect(problem.reconnect).toBeUndefined()
  })

  it('is no other error’s', async () => {
    for (const error of [new TokenError('store_unavailable', 'away'), new Error('else')]) {
      expect(await stage().explain(error, principal(['proxy:call']), place, newId('conn'))).toBe(error)
    }
  })

  it('N6 carries a link for a key that could make one, the same for five minutes however many ask', async () => {
    const { facts, clock, made } = stage()
    const [key, other] = [principal(['proxy:call', 'connect_sessions:write']), principal(['connect_sessions:write'])]
    const connection = newId('conn')
    const links = await Promise.all(Array.from({ length: 50 }, async () => (await facts(key, connection)).reconnect?.link))
    expect(new Set(links)).toEqual(new Set(['https://gateway.test/connect/1']))
    expect((await facts(other, connection)).reconnect?.link).toBe('https://gateway.test/connect/2')
    clock.advance(5 * MINUTE)
    expect((await facts(key, connection)).reconnect?.link).toBe('https://gateway.test/connect/3')
    expect(made()).toBe(3)
  })

  it('N6 names the place to make one for a key that may not, when too many are wanted, and when none can be made', async () => {
    const endpoint = `/api/v1/orgs/${formatId('org', place.org)}/projects/${formatId('proj', place.project)}/live/connect-sessions`
    const allowed = principal(['connect_sessions:write'])
    expect((await stage().facts(principal(['proxy:call']))).reconnect).toEqual({ endpoint })
    expect((await stage(true).facts(allowed)).reconnect).toEqual({ endpoint })
    const { facts, clock, made } = stage()
    for (let i = 0; i < 200; i++) await facts(allowed)
    expect(made()).toBe(120)
    expect((await facts(allowed)).reconnect).toEqual({ endpoint })
    // Another organization has links of its own.
    expect((await facts({ ...allowed, org: newId('org') })).reconnect?.link).toBeDefined()
    clock.advance(MINUTE)
    expect((await facts(allowed)).reconnect?.link).toBeDefined()
  })
})
