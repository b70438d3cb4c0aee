import { describe, expect, it, vi } from 'vitest'
import { createLogger, newId, SallyportError } from '@sallyport/core'
import type { KeyPrincipal } from '../identity/index.ts'
import { Refusals } from './refusals.ts'

const logger = createLogger({ level: 'silent', format: 'json', write: () => undefined })
const principal: KeyPrincipal = {
  kind: 'key',
  keyId: newId('key'),
  org: newId('org'),
  project: newId('proj'),
  environment: 'live',
  scopes: new Set(),
  connection: null,
  auditUseMode: 'strict',
  bounds: null,
}

describe('refusals of a key', () => {
  it('A-09 are written the first time at once, then together by the minute, with the last address and none lost', () => {
    const use = vi.fn<() => undefined>()
    const refusals = new Refusals({ use }, logger)
    const details = () =>
      use.mock.calls.map((call: unknown[]) => ({
        ...(call[2] as { detail: object }).detail,
        ...(call[3] as { facts: object }).facts,
      }))
    for (let i = 1; i <= 5; i++) refusals.note(principal, 'address_refused', `203.0.113.${i}`)
    refusals.note(principal, 'proof_expired', '203.0.113.1')
    expect(details()).toEqual([
      { code: 'address_refused', address: '203.0.113.1', times: 1 },
      { code: 'proof_expired', address: '203.0.113.1', times: 1 },
    ])
    refusals.flush()
    expect(details().slice(2)).toEqual([{ code: 'address_refused', address: '203.0.113.5', times: 4 }])
    refusals.note(principal, 'address_refused', '203.0.113.9')
    refusals.close()
    expect(details().at(-1)).toEqual({ code: 'address_refused', address: '203.0.113.9', times: 1 })
    expect(use.mock.calls.every((call: unknown[]) => call[1] === 'batched')).toBe(true)
  })

  it('are refusals still when the log is full', () => {
    const use = (): undefined => {
      throw new SallyportError('audit_unavailable', 'full')
    }
    expect(() => new Refusals({ use }, logger).note(principal, 'address_refused', '203.0.113.1')).not.toThrow()
  })
})
