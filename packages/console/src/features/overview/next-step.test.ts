import { expect, it } from 'vitest'
import { nextStep } from './next-step.ts'

it('the overview leads from nothing to the first call, one step at a time, and then is silent', () => {
  const titles = [
    { integrations: 0, connections: 0, keys: 0, requests: 0 },
    { integrations: 1, connections: 0, keys: 0, requests: 0 },
    { integrations: 1, connections: 1, keys: 0, requests: 0 },
    { integrations: 1, connections: 1, keys: 1, requests: 0 },
    { integrations: 1, connections: 1, keys: 1, requests: 1 },
  ].map((standing) => nextStep(standing)?.title)
  expect(titles).toEqual(['Begin with an integration', 'Connect the first account', 'Create a key', 'Make the first call', undefined])
})

it('a key made before the first account does not skip the account', () => {
  expect(nextStep({ integrations: 1, connections: 0, keys: 3, requests: 0 })?.to).toMatch(/connections$/u)
})
