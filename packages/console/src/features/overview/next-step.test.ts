import { expect, it } from 'vitest'
import { nextSteps } from './next-step.ts'
import type { Standing } from './next-step.ts'

const nothing: Standing = { integrations: 0, connections: 0, modelProviders: 0, keys: 0, requests: 0 }
const titles = (standing: Partial<Standing>): string[] => nextSteps({ ...nothing, ...standing }).map(({ title }) => title)

it('the overview leads from nothing to the first call, one step at a time, and then is silent', () => {
  expect(titles({})).toEqual(['Begin with an integration', 'Or begin with models'])
  expect(titles({ integrations: 1 })).toEqual(['Connect the first account'])
  expect(titles({ integrations: 1, connections: 1 })).toEqual(['Create a key'])
  expect(titles({ integrations: 1, connections: 1, keys: 1 })).toEqual(['Make the first call'])
  expect(titles({ integrations: 1, connections: 1, keys: 1, requests: 1 })).toEqual([])
})

it('whoever begins with models is not sent to integrations', () => {
  expect(titles({ modelProviders: 1 })).toEqual(['Create a key'])
  expect(titles({ modelProviders: 1, keys: 1 })).toEqual(['Make the first call'])
  expect(titles({ modelProviders: 1, keys: 1, requests: 1 })).toEqual([])
})

it('a key made before the first account does not skip the account', () => {
  expect(nextSteps({ ...nothing, integrations: 1, keys: 3 })[0]?.to).toMatch(/connections$/u)
})
