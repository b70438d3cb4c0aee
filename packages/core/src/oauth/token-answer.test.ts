import { describe, expect, it } from 'vitest'
import { standardAnswer } from './token-answer.ts'

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

describe('a token answer', () => {
  it('is read from a form only where the provider sends forms', async () => {
    const form = () =>
      new Response('access_token=t&token_type=bearer&scope=a%2Cb', {
        headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      })
    expect(await (await standardAnswer(form(), ['form_answer'])).json()).toEqual({ access_token: 't', token_type: 'bearer', scope: 'a,b' })
    expect((await standardAnswer(form(), [])).headers.get('content-type')).toContain('form-urlencoded')
  })

  it('that is an error with status 200 becomes an error where the provider does that', async () => {
    const answer = () => new Response('{"error":"bad_verification_code"}', { headers: JSON_TYPE })
    expect((await standardAnswer(answer(), ['error_in_success'])).status).toBe(400)
    expect((await standardAnswer(answer(), [])).status).toBe(200)
  })

  it('F-19 has a sane lifetime, or none, and no empty refresh token', async () => {
    const body = async (members: object) => (await standardAnswer(new Response(JSON.stringify(members), { headers: JSON_TYPE }), [])).json()
    expect(await body({ expires_in: '3600' })).toEqual({ expires_in: 3600 })
    expect(await body({ expires_in: -1, refresh_token: '' })).toEqual({})
    expect(await body({ expires_in: 0, refresh_token: null })).toEqual({})
    expect(await body({ expires_in: 1e12, refresh_token: 'r' })).toMatchObject({ refresh_token: 'r' })
  })

  it('leaves out an id token, which nobody here verifies', async () => {
    const answer = await standardAnswer(new Response('{"access_token":"t","id_token":"x.y.z"}', { headers: JSON_TYPE }), [])
    expect(await answer.json()).toEqual({ access_token: 't' })
  })

  it('drops a challenge, so that the error in the body is what counts', async () => {
    const answer = await standardAnswer(
      new Response('{"error":"invalid_client"}', { status: 401, headers: { ...JSON_TYPE, 'www-authenticate': 'Basic' } }),
      [],
    )
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, null])
  })

  it.each(['[]', 'null', '"text"', '{', ''])('that is no object (%j) is left for the judge to refuse', async (text) => {
    const answer = await standardAnswer(new Response(text, { headers: JSON_TYPE }), ['form_answer', 'error_in_success'])
    expect(await answer.text()).toBe(text)
  })
})
