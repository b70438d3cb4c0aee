import { describe, expect, it } from 'vitest'
import { isWorthAnotherTry } from './refusal.ts'

describe('a refusal of a model call', () => {
  it.each([
    [402, 'budget_exceeded', undefined, false],
    [403, 'model_unpriced', undefined, false],
    [408, 'request_timeout', undefined, true],
    // Clients would try it again by themselves.
    [409, 'integration_not_configured', undefined, false],
    [429, 'rate_limited', '1', true],
    [429, 'rate_limited', '60', true],
    [429, 'rate_limited', '61', false],
    [502, 'upstream_unreachable', undefined, true],
    [502, 'upstream_tls', undefined, false],
    [503, 'circuit_open', '60', true],
    [503, 'draining', '1', true],
    [504, 'upstream_timeout', undefined, true],
  ] as const)('of %i %s, after %s seconds: is worth another try: %s', (status, code, retryAfterS, again) => {
    expect(isWorthAnotherTry({ status, code }, retryAfterS)).toBe(again)
  })
})
