import { describe, expect, it } from 'vitest'
import { newId, sha256 } from '@sallyport/core'
import { ProofMemory } from './proof-memory.ts'

const [org, other] = [newId('org'), newId('org')]

function memory(): { proofs: ProofMemory; pass: (ms: number) => void } {
  let now = 0
  return { proofs: new ProofMemory({ monotonic: () => now }), pass: (ms) => void (now += ms) }
}

describe('the memory of proofs', () => {
  it('takes a proof once, for as long as it can be good', () => {
    const { proofs, pass } = memory()
    expect(proofs.take(org, sha256('a'))).toBe('taken')
    for (const ms of [0, 1, 60_000, 29_998]) {
      pass(ms)
      expect(proofs.take(org, sha256('a'))).toBe('replayed')
    }
  })

  it('keeps what was taken last in one life span through the whole next', () => {
    const { proofs, pass } = memory()
    proofs.take(org, sha256('first'))
    pass(89_999)
    expect(proofs.take(org, sha256('late'))).toBe('taken')
    pass(1)
    expect(proofs.take(org, sha256('late'))).toBe('replayed')
    pass(89_999)
    expect(proofs.take(org, sha256('late'))).toBe('replayed')
  })

  it('when an organization fills its room, refuses that one alone, and forgets nothing for it', () => {
    const { proofs } = memory()
    for (let i = 0; i < 50_000; i++) proofs.take(org, sha256(String(i)))
    expect(proofs.take(org, sha256('more'))).toBe('full')
    expect(proofs.take(org, sha256('0'))).toBe('replayed')
    expect(proofs.take(other, sha256('more'))).toBe('taken')
  })

  it('forgets quiet organizations', () => {
    const { proofs, pass } = memory()
    for (let i = 0; i < 10; i++) proofs.take(org, sha256(String(i)))
    expect(proofs.size).toBe(10)
    pass(90_000)
    proofs.sweep()
    expect(proofs.size).toBe(10)
    pass(90_000)
    proofs.sweep()
    expect(proofs.size).toBe(0)
    expect(proofs.take(org, sha256('0'))).toBe('taken')
  })
})
