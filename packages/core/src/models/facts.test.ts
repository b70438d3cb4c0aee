import { describe, expect, it } from 'vitest'
import { statedModelFacts, unshownModelFacts } from './facts.ts'
import { listModelProviders } from './registry.ts'
import { modelBase } from './schema.ts'

describe('what a model provider’s record says', () => {
  it('is held against what its vendor publishes, at every provider, with each page and what it shows', () => {
    for (const record of listModelProviders()) {
      const stated = new Set(statedModelFacts(record))
      expect(record.held?.pages.length, record.id).toBeGreaterThan(0)
      for (const { page, shows } of record.held!.pages) expect([page, shows.filter((fact) => !stated.has(fact))]).toEqual([page, []])
    }
  })

  it('leads keys to no address that nothing shows', () => {
    for (const record of listModelProviders()) {
      const unshown = unshownModelFacts(record)
      for (const fact of ['base', 'key', 'headers', 'settings', 'signing', 'tokens'] as const)
        expect(unshown, record.id).not.toContain(fact)
    }
  })

  it.each([
    ['vertex', { location: 'europe-west4' }, 'https://europe-west4-aiplatform.googleapis.com'],
    ['vertex', { location: 'global' }, 'https://aiplatform.googleapis.com'],
    ['vertex', { location: 'eu' }, 'https://aiplatform.eu.rep.googleapis.com'],
    ['bedrock', { region: 'us-gov-west-1' }, 'https://bedrock-runtime.us-gov-west-1.amazonaws.com'],
    ['bedrock', { region: 'eusc-de-east-1' }, 'https://bedrock-runtime.eusc-de-east-1.amazonaws.eu'],
    ['azure-openai', { resource: 'mine' }, 'https://mine.openai.azure.com'],
  ])('calls %s with %j at %s', (id, settings, base) => {
    expect(
      modelBase(
        listModelProviders().find((record) => record.id === id)!,
        settings,
      ),
    ).toBe(base)
  })
})
