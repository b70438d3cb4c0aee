import { describe, expect, it } from 'vitest'
import { firstModelCall, keepProviderKey } from './commands.ts'

const ORIGIN = 'http://127.0.0.1:7255'
const CHAT = `'${ORIGIN}/v1/chat/completions'`
const HELLO = `"messages":[{"role":"user","content":"Say hello."}]`

describe('the first call of a model', () => {
  it('asks a route before a provider, with the key that was just made', () => {
    expect(firstModelCall(ORIGIN, { routes: [{ name: 'fast' }], providers: ['openai'] }, 'sp_test_x')).toBe(
      `curl -H 'Authorization: Bearer sp_test_x' -H 'Content-Type: application/json' -d '{"model":"fast",${HELLO}}' ${CHAT}`,
    )
  })

  it('asks for the key where none was made, and never holds one', () => {
    expect(firstModelCall(ORIGIN, { routes: [], providers: ['elsewhere', 'openai'] })).toBe(
      `printf 'Sallyport key: '; read -r KEY; curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{"model":"openai/gpt-4.1-mini",${HELLO}}' ${CHAT}`,
    )
  })

  it('asks for the model of a provider that nothing is known of', () => {
    expect(firstModelCall(ORIGIN, { routes: [], providers: ['elsewhere'] }, 'sp_test_x')).toBe(
      `printf 'Model of elsewhere: '; read -r MODEL; curl -H 'Authorization: Bearer sp_test_x' -H 'Content-Type: application/json' -d '{"model":"elsewhere/'"$MODEL"'",${HELLO}}' ${CHAT}`,
    )
  })

  it('is not there while nobody can be asked', () => {
    expect(firstModelCall(ORIGIN, { routes: [], providers: [] })).toBeUndefined()
  })
})

it('the command that keeps a key of a provider asks for both keys', () => {
  expect(keepProviderKey(ORIGIN, '/api/v1/x')).toBe(
    `printf 'Sallyport key: '; read -r KEY; printf 'Key of OpenAI: '; read -r SECRET; curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{"provider":"openai","secret":"'"$SECRET"'"}' '${ORIGIN}/api/v1/x'`,
  )
})
