import { describe, expect, it } from 'vitest'
import { operations } from '@sallyport/contract'
import { implementations } from './implementations.ts'
import type { Implementations } from './operation.ts'

describe('implementations', () => {
  it('are exactly the operations of the contract, each under its own name', () => {
    expect(Object.keys(implementations)).toEqual(Object.keys(operations))
    expect(Object.values(implementations).map(({ name }) => name)).toEqual(Object.keys(operations))
  })

  // The guard is the compiler: each expectation below fails the type check when the error it expects is gone.
  it('do not compile with one missing, or with one in the place of another', () => {
    const { whoami, ...others } = implementations
    // @ts-expect-error -- whoami is missing
    const incomplete: Implementations = others
    // @ts-expect-error -- a list of keys is no answer to who am I
    const swapped: Implementations = { ...others, whoami: implementations.keyList }
    const whole: Implementations = { ...others, whoami }
    expect([incomplete, swapped, whole].map((list) => 'whoami' in list)).toEqual([false, true, true])
  })
})
