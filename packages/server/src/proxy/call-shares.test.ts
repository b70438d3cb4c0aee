import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import { createCallShares } from './call-shares.ts'
import type { CallShares } from './call-shares.ts'

const ORIGIN = 'https://api.test'
const CONNECTIONS = 256

/** Enters until it is refused; gives how often it got in. */
function crowd(shares: CallShares, org: OrgId, most = 1_000): number {
  for (let taken = 0; taken < most; taken++) {
    try {
      shares.enter(org, ORIGIN)
    } catch (error) {
      expect(error).toMatchObject({ code: 'overloaded' })
      return taken
    }
  }
  return most
}

describe('the calls of one organization to one origin', () => {
  it('are taken up to a quarter of its connections, and refused at once beyond it', () => {
    const shares = createCallShares(CONNECTIONS)
    const org = newId('org')
    expect(crowd(shares, org)).toBe(CONNECTIONS / 4)
    for (let i = 0; i < 3; i++) expect(() => shares.enter(org, ORIGIN)).toThrow(expect.objectContaining({ code: 'overloaded' }))
  })

  it('leave room for a newcomer, however many organizations take all they can', () => {
    const shares = createCallShares(CONNECTIONS)
    const taken = Array.from({ length: 10 }, () => crowd(shares, newId('org')))
    expect(taken.reduce((sum, one) => sum + one, 0)).toBeLessThan(CONNECTIONS)
    expect(crowd(shares, newId('org'))).toBeGreaterThan(1)
  })

  it('take nothing from another organization that has none under way, and nothing from another origin', () => {
    const shares = createCallShares(1)
    const org = newId('org')
    shares.enter(org, ORIGIN)
    shares.enter(newId('org'), ORIGIN)
    shares.enter(org, 'https://other.test')
    expect(() => shares.enter(org, ORIGIN)).toThrow()
  })

  it('make room as they end, as often as they end', () => {
    const shares = createCallShares(1)
    const org = newId('org')
    for (let i = 0; i < 3; i++) {
      const leave = shares.enter(org, ORIGIN)
      expect(() => shares.enter(org, ORIGIN)).toThrow()
      leave()
    }
  })

  it('of a crowd that is gone bound nobody any more', () => {
    const shares = createCallShares(CONNECTIONS)
    const others = Array.from({ length: 4 }, () => newId('org'))
    const leaving = others.flatMap((org) => Array.from({ length: 20 }, () => shares.enter(org, ORIGIN)))
    for (const leave of leaving) leave()
    expect(crowd(shares, newId('org'))).toBe(CONNECTIONS / 4)
  })
})
