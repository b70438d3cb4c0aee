import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger, hmacKey, randomBytes, systemClock } from '@sallyport/core'
import { createKeyGuard } from './key-guard.ts'
import type { KeyGuardOptions } from './key-guard.ts'
import { createNonces } from './nonces.ts'

const lines: string[] = []
const guardOf = (proofSweep: KeyGuardOptions['proofs']['proofSweep']) =>
  createKeyGuard({
    publicUrl: 'https://gateway.example',
    certificateHeader: undefined,
    isTrustedPeer: () => false,
    nonces: createNonces(hmacKey(randomBytes(32)), systemClock),
    requireNonce: false,
    proofs: { proofTake: async () => true, proofSweep },
    useLog: { use: () => undefined },
    clock: systemClock,
    logger: createLogger({ level: 'debug', format: 'json', write: (line) => void lines.push(line) }),
  })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('the list of proofs that all nodes share', () => {
  it('is cleared to the end each time, however many are over', async () => {
    let over = 25_000
    const guard = guardOf(async (most) => {
      const swept = Math.min(most, over)
      over -= swept
      return swept
    })
    await vi.advanceTimersByTimeAsync(10_000)
    expect(over).toBe(0)
    guard.close()
  })

  it('is asked by one sweep at a time, and by none once it is closed', async () => {
    const asked: PromiseWithResolvers<number>[] = []
    const guard = guardOf((most) => {
      const sweep = Promise.withResolvers<number>()
      asked.push(sweep)
      return sweep.promise.then(() => most)
    })
    await vi.advanceTimersByTimeAsync(30_000)
    expect(asked).toHaveLength(1)
    guard.close()
    asked[0]!.resolve(0)
    await vi.advanceTimersByTimeAsync(30_000)
    expect(asked).toHaveLength(1)
  })

  it('is tried again after a sweep that failed', async () => {
    let asked = 0
    const guard = guardOf(() => {
      asked += 1
      return Promise.reject(new Error('away'))
    })
    await vi.advanceTimersByTimeAsync(20_000)
    expect(asked).toBe(2)
    expect(lines.join('')).toContain('Proofs could not be swept')
    guard.close()
  })
})
