import { describe, expect, it } from 'vitest'
import { takeOwnerToken } from './owner-token.ts'

function take(hash: string): { token: string | undefined; addresses: unknown[] } {
  const addresses: unknown[] = []
  const history = { replaceState: (_state: unknown, _title: string, url?: unknown) => void addresses.push(url) }
  const token = takeOwnerToken({ hash, pathname: '/console/', search: '?a=1' }, history)
  return { token, addresses }
}

describe('an owner token in the address', () => {
  it('is given, and the address is left without a fragment', () => {
    expect(take('#owner=abc-DEF_1')).toEqual({ token: 'abc-DEF_1', addresses: ['/console/?a=1'] })
  })

  it('leaves the address also when it is empty or stands beside something else', () => {
    for (const hash of ['#owner', '#owner=']) expect(take(hash)).toEqual({ token: '', addresses: ['/console/?a=1'] })
    expect(take('#x=1&owner=t')).toEqual({ token: 't', addresses: ['/console/?a=1'] })
  })

  it('is not seen in other fragments, which stay', () => {
    for (const hash of ['', '#', '#screen', '#owners=1']) expect(take(hash)).toEqual({ token: undefined, addresses: [] })
  })
})
