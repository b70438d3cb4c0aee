import { describe, expect, it } from 'vitest'
import { GrantLedger, readToken } from './grant-ledger.ts'
import type { IssuerProfile } from './history.ts'

const opened = (profile: IssuerProfile) => {
  const ledger = new GrantLedger()
  const { grant, token } = ledger.open('app', profile, 0)
  return { ledger, grant, token, live: (now: number) => ledger.records(now)[0]!.live }
}

describe('the books of the hostile issuer', () => {
  it('keep a refresh token good for ever where there is no rotation', () => {
    const { ledger, token, live } = opened({ kind: 'none' })
    for (let now = 0; now < 5; now++) expect(ledger.show(token, now)).toEqual({ outcome: 'kept', given: { serial: 0, text: token } })
    expect(live(9)).toEqual([0])
  })

  it('spend a strict token once, and end the grant when it is shown again', () => {
    const { ledger, token, live } = opened({ kind: 'strict' })
    const { outcome, given } = ledger.show(token, 1)
    expect([outcome, given?.serial, live(1)]).toEqual(['rotated', 1, [1]])
    expect(ledger.show(token, 2)).toEqual({ outcome: 'reuse', given: undefined })
    expect(ledger.show(given!.text, 3).outcome).toBe('ended')
    expect(ledger.records(3)[0]).toMatchObject({ ended: { by: 'reuse', at: 2 }, live: [] })
  })

  it('give the same successor again within the grace, and end the grant after it', () => {
    const { ledger, token } = opened({ kind: 'grace', seconds: 10, again: 'same' })
    const first = ledger.show(token, 0).given
    expect(ledger.show(token, 10_000)).toEqual({ outcome: 'again', given: first })
    expect(ledger.show(token, 10_001).outcome).toBe('reuse')
  })

  it('put another successor in the place of the first, where grace is given so', () => {
    const { ledger, token, live } = opened({ kind: 'grace', seconds: 10, again: 'another' })
    const first = ledger.show(token, 0).given!
    const second = ledger.show(token, 5000).given!
    expect([first.serial, second.serial, live(5000)]).toEqual([1, 2, [0, 2]])
    expect(ledger.show(first.text, 6000).outcome).toBe('replaced')
    expect(ledger.show(second.text, 7000).outcome).toBe('rotated')
  })

  it('end the grant when a token is shown whose successor was used, grace or not', () => {
    const { ledger, token } = opened({ kind: 'grace', seconds: 10, again: 'same' })
    ledger.show(ledger.show(token, 0).given!.text, 1)
    expect(ledger.show(token, 2).outcome).toBe('reuse')
  })

  it('know their own tokens only, and only for the client they were given to', () => {
    const { ledger, token } = opened({ kind: 'strict' })
    expect(ledger.knows('app', token)).toBe(true)
    expect(ledger.knows('other', token)).toBe(false)
    expect(ledger.knows('app', `${token}x`)).toBe(false)
    expect(ledger.knows('app', 'rt.g9-000000.0.x')).toBe(false)
    expect(readToken('anything')).toBeUndefined()
  })

  it('tell a revocation by the person from an end by reuse', () => {
    const { ledger, grant, token } = opened({ kind: 'strict' })
    expect([ledger.revoke(grant, 4), ledger.revoke(grant, 5)]).toEqual([true, false])
    expect(ledger.show(token, 6).outcome).toBe('ended')
    expect(ledger.records(6)[0]!.ended).toEqual({ by: 'revoked', at: 4 })
  })
})
