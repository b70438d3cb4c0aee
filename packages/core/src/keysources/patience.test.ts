import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { CryptoError, KeySourceError } from '../crypto/index.ts'
import { EgressError } from '../http/index.ts'
import { ManualClock } from '../kernel/index.ts'
import { Patience } from './patience.ts'

const LIMITS = { deadlineMs: 1_000, firstPauseMs: 1, longestPauseMs: 2, firstRestMs: 100, longestRestMs: 150 }

/** Each attempt takes `ms` of a clock that only attempts move. */
function patient(ms: number) {
  const clock = new ManualClock()
  const heard: string[] = []
  const patience = new Patience('the service', { limits: LIMITS, clock, onState: (state) => void heard.push(state) })
  let attempts = 0
  const ask = (outcome: () => unknown): Promise<unknown> =>
    patience.ask(async () => {
      attempts += 1
      clock.advance(ms)
      const result = outcome()
      if (result instanceof Error) throw result
      return result
    })
  return { clock, heard, ask, attempts: () => attempts }
}

const away = (): Error => new EgressError('upstream_reset', 'ECONNRESET')

describe('asking a key service', () => {
  it('goes on until the deadline and no further, then rests, longer each time up to a bound', async () => {
    const { clock, ask, attempts } = patient(300)
    const gone = { code: 'key_source_unavailable', message: 'the service does not answer (ECONNRESET)' }
    await expect(ask(away)).rejects.toMatchObject(gone)
    expect(attempts()).toBe(4)
    for (const rest of [100, 150, 150]) {
      clock.advance(rest - 1)
      await expect(ask(() => 'not asked')).rejects.toMatchObject({ code: 'key_source_unavailable' })
      clock.advance(1)
      const before = attempts()
      await expect(ask(away)).rejects.toMatchObject(gone)
      expect(attempts() - before).toBe(4)
    }
    clock.advance(150)
    expect(await ask(() => 'there')).toBe('there')
  })

  it.each<[string, Error, string]>([
    ['a refusal', new KeySourceError('key_source_refused', 'no'), 'key_source_refused'],
    ['a server that proves nothing', new EgressError('upstream_tls', 'CERT_HAS_EXPIRED'), 'key_source_refused'],
    ['a destination that is not allowed', new EgressError('egress_refused', 'address'), 'key_source_refused'],
    ['what does not open', new CryptoError('decrypt_failed', 'it does not open'), 'decrypt_failed'],
  ])('is not repeated after %s', async (_name, error, code) => {
    const { ask, attempts } = patient(1)
    await expect(ask(() => error)).rejects.toMatchObject({ code })
    expect(attempts()).toBe(1)
  })

  it('tells what was said last, not that the time was up in the middle of the next attempt', async () => {
    const patience = new Patience('the service', { limits: { ...LIMITS, deadlineMs: 50 } })
    let attempts = 0
    const asked = patience.ask(async (signal) => {
      attempts += 1
      if (attempts === 1) throw new KeySourceError('key_source_unavailable', 'sealed')
      await once(signal, 'abort')
      throw new EgressError('upstream_timeout', 'aborted')
    })
    await expect(asked).rejects.toMatchObject({ code: 'key_source_unavailable', message: 'sealed' })
    const silent = new Patience('the service', { limits: { ...LIMITS, deadlineMs: 50 } }).ask(async (signal) => {
      await once(signal, 'abort')
      throw new EgressError('upstream_timeout', 'aborted')
    })
    await expect(silent).rejects.toMatchObject({ message: 'the service does not answer (aborted)' })
  })

  it('ends at once when nobody is to ask any more, and says nothing of the service then', async () => {
    const heard: string[] = []
    const patience = new Patience('the service', {
      limits: { firstPauseMs: 3_600_000, deadlineMs: 7_200_000 },
      onState: (state) => void heard.push(state),
    })
    const closed = { code: 'key_source_unavailable', message: 'the service does not answer (closed)' }
    const pausing = Promise.withResolvers<void>()
    const waiting = expect(
      patience.ask(async () => {
        setImmediate(pausing.resolve)
        throw away()
      }),
    ).rejects.toMatchObject(closed)
    await pausing.promise
    patience.close()
    await waiting
    await expect(patience.ask(async () => 'not asked')).rejects.toMatchObject(closed)
    expect(heard).toEqual([])
  })

  it('tells of each change of the service once', async () => {
    const { clock, ask, heard } = patient(600)
    const swallow = (asked: Promise<unknown>): Promise<unknown> => asked.catch(() => undefined)
    await ask(() => 'there')
    for (let n = 0; n < 2; n++) {
      await swallow(ask(away))
      clock.advance(150)
    }
    await ask(() => 'there')
    for (let n = 0; n < 2; n++) await swallow(ask(() => new KeySourceError('key_source_refused', 'no')))
    await swallow(ask(() => new CryptoError('decrypt_failed', 'it does not open')))
    expect(heard).toEqual(['away', 'answers', 'refuses', 'answers'])
  })
})
