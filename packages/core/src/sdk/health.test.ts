import { describe, expect, it } from 'vitest'
import { ManualClock } from '../kernel/index.ts'
import { MetricsRegistry } from '../observability/index.ts'
import type { CircuitChange, CircuitState, Fault } from '../pipeline/index.ts'
import { ProvidersHealth } from './health.ts'
import { SDK_METRICS } from './metrics.ts'

const SECOND = 1_000

function trial() {
  const clock = new ManualClock()
  const metrics = new MetricsRegistry(SDK_METRICS)
  const told: string[] = []
  const health = new ProvidersHealth({ clock, metrics, openMs: 60 * SECOND, onChange: ({ state }) => told.push(state) })
  const note = (...faults: Fault[]): void => faults.forEach((fault) => health.note('p', fault))
  return { clock, metrics, told, health, note }
}

const change = (to: CircuitState): CircuitChange => ({
  owner: 'o',
  integration: 'p',
  provider: 'p',
  host: 'api.example',
  from: 'closed',
  to,
})

describe('what an SDK knows of a provider', () => {
  it('is nothing before the first call, and nothing of what its callers did', () => {
    const { health, note } = trial()
    note('nobody', 'nobody')
    expect(health.of('p')).toEqual({ state: 'unknown', failuresInARow: 0, lastMinute: { calls: 0, failures: 0 }, openCircuits: [] })
    expect(health.isDown('p')).toBe(false)
  })

  it('S48 is that it fails after five failures in a row, until one call succeeds', () => {
    const { health, note, told, metrics } = trial()
    note('none', 'provider', 'provider', 'provider', 'provider')
    expect(health.of('p').state).toBe('up')
    note('provider')
    expect([health.of('p').state, health.isDown('p'), health.failing()]).toEqual(['failing', true, ['p']])
    expect(metrics.render()).toContain('provider_up{provider="p"} 0')
    note('none', 'none', 'none', 'none', 'none')
    expect([health.of('p').state, health.isDown('p')]).toEqual(['up', false])
    expect(told).toEqual(['failing', 'up'])
  })

  it('S48 is that it fails when half of ten calls within a minute failed, and what is older does not count', () => {
    const { health, note, clock } = trial()
    for (let i = 0; i < 5; i++) note('none', 'provider')
    expect(health.of('p')).toMatchObject({ state: 'failing', failuresInARow: 1, lastMinute: { calls: 10, failures: 5 } })
    clock.advance(61 * SECOND)
    note('none')
    expect(health.of('p')).toMatchObject({ state: 'up', lastMinute: { calls: 1, failures: 0 } })
  })

  it('S50 does not keep calls away for longer than a minute: only a call can find it mended', () => {
    const { health, note, clock } = trial()
    note('provider', 'provider', 'provider', 'provider', 'provider')
    health.noteCircuit(change('open'))
    clock.advance(59 * SECOND)
    expect([health.isDown('p'), health.of('p').openCircuits]).toEqual([true, ['api.example']])
    clock.advance(SECOND)
    expect([health.isDown('p'), health.of('p').openCircuits]).toEqual([false, []])
  })

  it('S48 is over with a probe that is answered', () => {
    const { health, note } = trial()
    note('provider', 'provider', 'provider', 'provider', 'provider')
    health.revive('p')
    expect(health.of('p')).toMatchObject({ state: 'up', failuresInARow: 0, lastMinute: { calls: 5, failures: 5 } })
  })

  it('S43 is which of its hosts are left alone', () => {
    const { health } = trial()
    health.noteCircuit(change('open'))
    expect(health.isDown('p')).toBe(true)
    health.noteCircuit(change('half_open'))
    expect(health.isDown('p')).toBe(false)
  })
})
