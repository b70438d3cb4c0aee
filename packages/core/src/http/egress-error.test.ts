import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { EgressError, toEgressError } from './egress-error.ts'

const coded = (code: string) => Object.assign(new Error(`canary ${code} 127.0.0.1`), { code, hostname: 'canary', data: 'canary' })

describe('toEgressError', () => {
  it.each([
    ['ENOTFOUND', 'upstream_unreachable'],
    ['EAI_AGAIN', 'upstream_unreachable'],
    ['ECONNREFUSED', 'upstream_unreachable'],
    ['EHOSTUNREACH', 'upstream_unreachable'],
    ['UND_ERR_CONNECT_TIMEOUT', 'upstream_timeout'],
    ['UND_ERR_HEADERS_TIMEOUT', 'upstream_timeout'],
    ['UND_ERR_BODY_TIMEOUT', 'upstream_timeout'],
    ['ETIMEDOUT', 'upstream_timeout'],
    ['ECONNRESET', 'upstream_reset'],
    ['UND_ERR_SOCKET', 'upstream_reset'],
    ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'upstream_reset'],
    ['HPE_INVALID_CONSTANT', 'upstream_invalid'],
    ['UND_ERR_HEADERS_OVERFLOW', 'upstream_too_large'],
    ['CERT_HAS_EXPIRED', 'upstream_tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'upstream_tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'upstream_tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'upstream_tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'upstream_tls'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'upstream_tls'],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'upstream_tls'],
    ['EPROTO', 'upstream_tls'],
  ])('maps %s to %s', (code, expected) => {
    expect(toEgressError(coded(code), false)).toMatchObject({ code: expected, reason: code, sent: false })
  })

  it('L-02 keeps nothing of the error underneath but its code', () => {
    const shown = inspect(toEgressError(coded('ECONNRESET'), true), { depth: 9, showHidden: true })
    expect(shown).not.toContain('canary')
    expect(shown).not.toContain('127.0.0.1')
    expect(toEgressError(coded('canary with blanks'), true).reason).toBe('UNKNOWN')
  })

  it('F-22 lets an unknown failure before sending be told from one after', () => {
    expect(toEgressError('canary', false)).toMatchObject({ code: 'upstream_unreachable', sent: false, reason: 'UNKNOWN' })
    expect(toEgressError(null, true)).toMatchObject({ code: 'upstream_reset', sent: true })
  })

  it('looks into an aggregate for its first code', () => {
    expect(toEgressError(new AggregateError([coded('ECONNREFUSED'), coded('ENETUNREACH')]), false).reason).toBe('ECONNREFUSED')
  })

  it('passes our own on, with what is known about sending', () => {
    const error = new EgressError('egress_refused', 'address')
    expect(toEgressError(error, false)).toBe(error)
    expect(toEgressError(error, true)).toMatchObject({ code: 'egress_refused', sent: true })
  })
})
