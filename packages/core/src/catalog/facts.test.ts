import { describe, expect, it } from 'vitest'
import { listProviders, resolveProvider } from './catalog.ts'
import { FACTS, statedFacts, unshownFacts } from './facts.ts'
import { providerReference } from './reference.ts'

describe('what a record says', () => {
  it('S28 is held against what its provider publishes, at every provider, with each page and what it shows', () => {
    for (const record of listProviders()) {
      const stated = new Set([...statedFacts(record), 'rotation', 'idle'])
      expect(record.held?.pages.length, record.id).toBeGreaterThan(0)
      for (const { page, shows } of record.held!.pages) expect([page, shows.filter((fact) => !stated.has(fact))]).toEqual([page, []])
    }
  })

  it('S28 is said to be unshown where nothing that was read shows it, and the documentation says so', () => {
    const slack = resolveProvider('slack')!
    expect(unshownFacts(slack)).toEqual(['proofKey', 'scopes'])
    expect(unshownFacts({ ...slack, held: undefined })).toEqual(statedFacts(slack))
    const text = providerReference()
    const section = text.slice(text.indexOf('## Slack (bot)'), text.indexOf('## Slack (user)'))
    expect(section).toContain(`Not shown by what was read: ${FACTS.proofKey}, ${FACTS.scopes}.`)
  })

  it('S28 of endpoints of devices, and of tokens of the client itself, is shown at every provider that has them', () => {
    const offered = listProviders().flatMap((record) =>
      statedFacts(record).flatMap((fact) => (fact === 'device' || fact === 'application' ? [[record, fact] as const] : [])),
    )
    expect(offered.length).toBeGreaterThan(5)
    for (const [record, fact] of offered) expect(unshownFacts(record), record.id).not.toContain(fact)
  })
})
