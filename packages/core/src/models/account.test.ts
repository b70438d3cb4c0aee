import { describe, expect, it } from 'vitest'
import { ACCOUNT_HEADERS, leavesAccount, withinAccount } from './account.ts'
import { declaredModelProvider, modelProvidersWith } from './declared.ts'
import { listModelProviders } from './registry.ts'

const SENT = [...ACCOUNT_HEADERS].flatMap((name) => [name, 'elsewhere'])

describe('beside a kept key', () => {
  it.each(listModelProviders())('a caller of $id names no account to act in', (provider) => {
    expect(withinAccount(provider, ['accept', '*/*', ...SENT, 'OpenAI_Project', 'elsewhere'])).toEqual(['accept', '*/*'])
  })

  it('headers that name none are left as they are', () => {
    const headers = ['openai-beta', 'assistants=v2', 'anthropic-version', '2023-06-01', 'x-goog-api-client', 'genai']
    expect(withinAccount(listModelProviders()[0]!, headers)).toBe(headers)
  })

  it.each(['?userProject=other', '?alt=sse&$userProject=other', '?%24user%50roject=other'])(
    'Google’s query names none either: %s',
    (query) => {
      const [gemini, openai] = ['gemini', 'openai'].map((id) => listModelProviders().find((one) => one.id === id)!)
      expect(leavesAccount(gemini!, `/v1beta/models${query}`)).toBe(true)
      expect(leavesAccount(openai!, `/v1/models${query}`)).toBe(false)
      expect(leavesAccount(gemini!, '/v1beta/models?pageToken=userProject')).toBe(false)
    },
  )

  it('it may where the operator leaves it to callers', () => {
    const declared = ['openai', 'gemini', 'own'].map((id) =>
      declaredModelProvider.parse({ id, base: 'https://models.example', callerHeaders: ['openai-project', 'x-goog-user-project'] }),
    )
    for (const { id } of declared) {
      const provider = modelProvidersWith(declared).find((one) => one.id === id)!
      expect(withinAccount(provider, SENT)).toEqual(['openai-project', 'elsewhere', 'x-goog-user-project', 'elsewhere'])
      expect(leavesAccount(provider, '/x?userProject=other')).toBe(false)
    }
  })
})
