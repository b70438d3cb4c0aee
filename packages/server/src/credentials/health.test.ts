import { describe, expect, it } from 'vitest'
import { schemas } from '@sallyport/contract'
import { healthOf as engineHealthOf } from '@sallyport/core'
import type { CredentialHealth, CredentialState } from '@sallyport/core'
import type { Connection } from '../db/index.ts'
import { healthOf } from './health.ts'

const moment = new Date(0)
const failure = { trouble: 'provider_down', since: moment, at: moment, failures: 1, retryAt: moment } as const

type Told = Pick<Connection, 'status' | 'refreshing' | 'failure'>

/** Every health that there is, by the state that means it. */
const TABLE: readonly (readonly [CredentialHealth, Told])[] = [
  ['active', { status: 'active', refreshing: null, failure: null }],
  ['active', { status: 'insufficient_scope', refreshing: null, failure: null }],
  ['degraded', { status: 'active', refreshing: null, failure }],
  ['refreshing', { status: 'active', refreshing: 'calling', failure: null }],
  ['refreshing', { status: 'active', refreshing: 'calling', failure }],
  ['outcome_unknown', { status: 'active', refreshing: 'unknown', failure }],
  ['reconnect_required', { status: 'reconnect_required', refreshing: null, failure }],
  ['reconnect_required', { status: 'reconnect_required', refreshing: 'unknown', failure }],
  ['revoked', { status: 'revoked', refreshing: null, failure: null }],
  ['revoked', { status: 'revoked', refreshing: 'calling', failure }],
]

describe('the health of a connection', () => {
  it.each(TABLE)('is %s for %j', (health, connection) => {
    expect(healthOf(connection)).toBe(health)
  })

  it('has a row here for each that the contract knows', () => {
    expect(new Set(TABLE.map(([health]) => health))).toEqual(new Set(schemas.CONNECTION_HEALTH))
  })

  it.each(TABLE.filter(([, { status }]) => status !== 'insufficient_scope'))('is %s for the engine too, for %j', (health, connection) => {
    const { status, refreshing, failure: failed } = connection
    const state = {
      status,
      intent: refreshing === null ? null : { state: refreshing },
      failure: failed === null ? null : { trouble: failed.trouble },
    } as unknown as Pick<CredentialState, 'status' | 'intent' | 'failure'>
    expect(engineHealthOf(state)).toBe(health)
  })
})
