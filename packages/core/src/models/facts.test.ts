import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { MODEL_FACTS, statedModelFacts, unshownModelFacts } from './facts.ts'
import { modelProviderReference } from './reference.ts'
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

  it('is said to be unshown where nothing that was read shows it, and the documentation says so', () => {
    const unshown = listModelProviders().flatMap((record) => unshownModelFacts(record).map((fact) => `${record.id} ${fact}`))
    expect(unshown).toEqual(['cohere chat', 'deepseek errors', 'groq chat', 'groq limits', 'openai limits', 'xai errors'])
    const text = modelProviderReference()
    const section = text.slice(text.indexOf('## Groq'), text.indexOf('## Mistral'))
    expect(section).toContain(`Not shown by what was read: ${MODEL_FACTS.chat}, ${MODEL_FACTS.limits}.`)
  })

  it('stands in docs/model-providers.md as it is', () => {
    expect(readFileSync(new URL('../../../../docs/model-providers.md', import.meta.url), 'utf8')).toBe(modelProviderReference())
  })

  it('has every path of OpenAI’s where OpenAI’s client finds it', () => {
    const own = { chat: '/chat/completions', responses: '/responses', embeddings: '/embeddings', models: '/models' }
    for (const { id, clients, paths } of listModelProviders()) {
      for (const [what, path] of Object.entries(paths)) expect(path, id).toBe(`${clients['openai']}${own[what as keyof typeof own]}`)
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
