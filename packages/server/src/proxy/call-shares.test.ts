import { describe, expect, it } from 'vitest'
import { newId } from '@sallyport/core'
import { createCallShares } from './call-shares.ts'

const ORIGIN = 'https://api.test'

describe('the calls of one organization to one origin', () => {
  it('are taken up to their share, and refused at once beyond it', () => {
    const shares = createCallShares(2)
    const org = newId('org')
    shares.enter(org, ORIGIN)
    shares.enter(org, ORIGIN)
    for (let i = 0; i < 3; i++) expect(() => shares.enter(org, ORIGIN)).toThrow(expect.objectContaining({ code: 'overloaded' }))
  })

  it('take nothing from another organization, and nothing from another origin', () => {
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
})
