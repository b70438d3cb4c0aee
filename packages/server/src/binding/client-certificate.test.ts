import { describe, expect, it } from 'vitest'
import { certificateThumbprint } from './client-certificate.ts'

const HASH = 'a1'.repeat(32)
const THUMBPRINT = Buffer.from(HASH, 'hex').toString('base64url')
const read = (...values: string[]): string | undefined =>
  certificateThumbprint(
    values.flatMap((value) => ['X-Forwarded-Client-Cert', value]),
    'x-forwarded-client-cert',
  )

describe('the certificate that a proxy names', () => {
  it.each([
    `Hash=${HASH}`,
    `hash=${HASH.toUpperCase()}`,
    `By=spiffe://a/b;Hash=${HASH};Subject="CN=a, O=\\"b;c\\"";URI=spiffe://a/c`,
    `Subject="Hash=${'b2'.repeat(32)}";Hash=${HASH}`,
  ])('is read from %s', (value) => {
    expect(read(value)).toBe(THUMBPRINT)
  })

  it.each([
    ['nothing', ''],
    ['no hash', 'By=spiffe://a/b'],
    ['a short hash', 'Hash=a1'],
    ['two hashes', `Hash=${HASH};Hash=${HASH}`],
    // A proxy that adds to what the client sent: the first element is the client's word.
    ['two elements', `Hash=${HASH},Hash=${'b2'.repeat(32)}`],
    ['an open quote', `Subject="a;Hash=${HASH}`],
    ['a hash inside a quote', `Subject="x;Hash=${HASH}"`],
  ])('is not read from %s', (_what, value) => {
    expect(read(value)).toBeUndefined()
  })

  // Quadratic work would take minutes for as many, and most of a second for a header of the size that is let in.
  it('D-19 is not read from half a million open quotes, and costs one look at each', () => {
    expect(read(`Subject=${'"\\'.repeat(500_000)}`)).toBeUndefined()
    expect(read(`Subject=${'"\\"'.repeat(500_000)}`)).toBeUndefined()
  })

  it('is not read from two headers, nor from the other kind', () => {
    expect(read(`Hash=${HASH}`, `Hash=${HASH}`)).toBeUndefined()
    expect(certificateThumbprint(['x-forwarded-client-cert', `Hash=${HASH}`], 'client-cert')).toBeUndefined()
  })

  it.each(['', ':', '::', ':AAAA:', 'AAAA', ':!!!!:', `:${'A'.repeat(20_000)}:`])('is not read from %.10s as bytes', (value) => {
    expect(certificateThumbprint(['client-cert', value], 'client-cert')).toBeUndefined()
  })
})
