import { describe, expect, it } from 'vitest'
import { ManualClock } from '@sallyport/core'
import { addressGroup, FailureBudget } from './failure-budget.ts'

describe('addressGroup', () => {
  // The risk: a subscriber with 2^64 addresses of its own never fails twice from the same one.
  it('counts an IPv6 subscriber once, however its addresses are spelled', () => {
    const spellings = [
      '2001:db8:1:2::1',
      '2001:db8:1:2:ffff:ffff:ffff:ffff',
      '2001:DB8:1:2::',
      '2001:0db8:0001:0002:0:0:0:9',
      '2001:db8:1:2::1%eth0',
    ]
    expect(new Set(spellings.map(addressGroup))).toEqual(new Set(['2001:db8:1:2::/64']))
    expect(['::1', '1::', '2001:db8::'].map(addressGroup)).toEqual(['0:0:0:0::/64', '1:0:0:0::/64', '2001:db8:0:0::/64'])
  })

  it('counts IPv4 by the address, also inside IPv6, and anything else by its text', () => {
    expect(['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1', 'unix', ''].map(addressGroup)).toEqual([
      '192.0.2.1',
      '192.0.2.1',
      '192.0.2.1',
      'unix',
      '',
    ])
  })
})

describe('FailureBudget', () => {
  const options = { burst: 3, perSecond: 0.5, maxAddresses: 2 }

  it('refuses after the burst and says when to come back', () => {
    const clock = new ManualClock()
    const budget = new FailureBudget({ ...options, clock })
    const waits = [1, 2, 3, 4].map(() => {
      const wait = budget.retryAfterS('a')
      budget.fail('a')
      return wait
    })
    expect(waits).toEqual([0, 0, 0, 2])
    clock.advance(1_999)
    expect(budget.retryAfterS('a')).toBe(1)
    clock.advance(1)
    expect(budget.retryAfterS('a')).toBe(0)
  })

  it('remembers no more addresses than it may', () => {
    const budget = new FailureBudget({ ...options, clock: new ManualClock() })
    for (let i = 0; i < 1_000; i++) budget.fail(`192.0.2.${i}`)
    expect(budget.size).toBe(2)
  })
})
