import { randomBytes } from 'node:crypto'
import { describe, expect, inject, it } from 'vitest'
import { ANSWER_FAULT_NAMES, openGatewayField, QUICK_GATEWAY_TROUBLES, reportProof, runProof } from '@sallyport/testkit'

/** A slice of `npm run prove:refresh -- --store gateway`. Set SALLYPORT_PROOF_SEED to repeat one. */
const seed = process.env['SALLYPORT_PROOF_SEED'] ?? randomBytes(4).toString('hex')
const PATIENCE_MS = 600_000
/** Judged with a busy machine in mind: the proof itself has the figures. */
const SLOWNESS = 20
/** What is answered never takes a gateway twenty seconds each: the proof has those. */
const QUICK = ANSWER_FAULT_NAMES.filter((name) => !name.endsWith('_silence')).map((name) => [name, 1] as const)

console.info(`seed of the refresh proof in gateways: ${seed}`)

describe('refresh tokens in whole gateways under fault', { timeout: PATIENCE_MS }, () => {
  it('G1 F-17 F-19 F-25 F-26 are not lost by two gateways for two organizations', async () => {
    const profile = { kind: 'none' } as const
    const field = await openGatewayField({
      postgresUrl: inject('postgresUrl'),
      profile,
      nodes: 2,
      credentials: 6,
      organizations: 2,
      seed,
      troubles: QUICK_GATEWAY_TROUBLES,
    })
    try {
      const issuer = { faults: QUICK }
      const { lines, broken } = reportProof(
        await runProof(field, { profile, until: { faults: 12 }, callers: 4, seed, slowness: SLOWNESS, issuer }),
      )
      expect(broken, `seed ${seed}\n${lines.join('\n')}`).toEqual([])
    } finally {
      await field.close()
    }
  })
})
