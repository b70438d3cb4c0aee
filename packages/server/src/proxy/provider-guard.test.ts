import { describe, expect, it } from 'vitest'
import { EgressError, ManualClock, newId, noMetrics, providerRoute, resolveProvider } from '@sallyport/core'
import type { DeprecationNotice } from '@sallyport/core'
import { createProviderGuard } from './provider-guard.ts'
import type { GuardedCall } from './provider-guard.ts'

const MINUTE = 60_000

function trial() {
  const clock = new ManualClock()
  const changes: string[] = []
  const announced: DeprecationNotice[] = []
  const guard = createProviderGuard({
    failures: 5,
    openMs: MINUTE,
    onChange: ({ to }) => changes.push(to),
    onDeprecation: (notice) => announced.push(notice),
    clock,
    metrics: noMetrics,
  })
  const id = <Kind extends 'org' | 'int' | 'conn'>(kind: Kind) => newId(kind, clock.now())
  const call: GuardedCall = {
    org: id('org'),
    integration: id('int'),
    provider: 'p',
    host: 'api.example',
    connection: id('conn'),
    counted: undefined,
  }
  const answer = (status: number, headers: Record<string, string> = {}, of = call): void => guard.admit(of).answered(status, headers)
  return { clock, changes, announced, guard, call, answer, id }
}

const refused = (code: string, retryAfterMs: number) => expect.objectContaining({ code, retryAfterMs }) as Error

describe('asking a provider for the data plane', () => {
  it('S53 hears what it announces the end of, whatever the status, once for all who ask', () => {
    const { announced, answer, call, id } = trial()
    const headers = { deprecation: '@1688169599', sunset: 'Sun, 11 Nov 2029 23:59:59 GMT' }
    answer(200)
    for (const status of [200, 404]) answer(status, headers)
    answer(200, headers, { ...call, org: id('org') })
    expect(announced).toEqual([
      {
        provider: 'p',
        host: 'api.example',
        deprecatedAt: 1_688_169_599_000,
        sunsetAt: Date.UTC(2029, 10, 11, 23, 59, 59),
        documentation: null,
      },
    ])
  })

  it('S43 D-12 ends after five failures in a row, for this organization, integration and host alone', () => {
    const { guard, call, answer, changes, id } = trial()
    for (let i = 0; i < 5; i++) answer(503)
    expect(() => guard.admit(call)).toThrow(refused('circuit_open', MINUTE))
    expect(changes).toEqual(['open'])
    for (const other of [{ org: id('org') }, { integration: id('int') }, { host: 'other.example' }]) answer(200, {}, { ...call, ...other })
  })

  it('S43 goes on through any number of 4xx, callers that leave, and refusals of our own', () => {
    const { guard, call, answer, changes } = trial()
    for (let i = 0; i < 20; i++) {
      answer(404)
      answer(429)
      guard.admit(call).failed(new EgressError('client_gone', 'connection', true))
      guard.admit(call).failed(new Error('the database is away'))
    }
    expect(changes).toEqual([])
  })

  it('F-21 lets one call through after its time, whose head alone decides; a stream that goes on keeps nobody waiting', () => {
    const { guard, call, clock, changes } = trial()
    for (let i = 0; i < 5; i++) guard.admit(call).failed(new EgressError('upstream_unreachable', 'ECONNREFUSED'))
    clock.advance(MINUTE)
    const probe = guard.admit(call)
    expect(() => guard.admit(call)).toThrow(expect.objectContaining({ code: 'circuit_open' }) as Error)
    probe.answered(200, {})
    guard.admit(call).answered(200, {})
    probe.failed(new EgressError('upstream_reset', 'late', true))
    expect(changes).toEqual(['open', 'half_open', 'closed'])
  })

  it('F-21 makes room for another when the one that was let through says nothing of the provider', () => {
    const { guard, call, clock, answer, changes } = trial()
    for (let i = 0; i < 5; i++) answer(500)
    clock.advance(MINUTE)
    guard.admit(call).failed(new EgressError('client_gone', 'connection', true))
    answer(200)
    expect(changes.at(-1)).toBe('closed')
  })

  it('S52 D-13 waits for the quota of a connection, which its provider says is used up, no longer than a cap', () => {
    const { guard, call, clock, answer, id } = trial()
    answer(200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '30' })
    expect(() => guard.admit(call)).toThrow(refused('quota_exhausted', 30_000))
    answer(200, {}, { ...call, connection: id('conn') })
    clock.advance(30_000)
    answer(429, { 'retry-after': '99999999' })
    expect(() => guard.admit(call)).toThrow(refused('quota_exhausted', 15 * MINUTE))
    clock.advance(15 * MINUTE)
    answer(200, { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '30' })
    answer(200)
  })

  it.each([
    ['github', '/search/code?q=a', '/search/repositories', { 'x-ratelimit-resource': 'code_search' }],
    ['github', '/search/issues', '/repos/o/r/issues', { 'x-ratelimit-resource': 'search' }],
    ['github', '/user', '/graphql', { 'x-ratelimit-resource': 'core' }],
    ['x', '/users/12/tweets?max_results=5', '/users/me', {}],
  ])('S52 holds back what %s counts with %s, and lets %s out', (provider, path, other, headers) => {
    const { guard, call } = trial()
    const route = providerRoute(resolveProvider(provider)!, { allowedPorts: [443], insecureAllowOrigins: [] })
    const to = (asked: string) => guard.admit({ ...call, counted: route.counts('GET', asked) })
    const style = provider === 'x' ? 'x-rate-limit' : 'x-ratelimit'
    to(path).answered(429, { ...headers, [`${style}-remaining`]: '0', [`${style}-reset`]: '30' })
    expect(() => to(path)).toThrow(refused('quota_exhausted', 30_000))
    to(other).answered(200, {})
    if (provider === 'x') expect(() => to('/users/34/tweets')).toThrow(refused('quota_exhausted', 30_000))
  })
})
