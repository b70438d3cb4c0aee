import { describe, expect, it } from 'vitest'
import { ManualClock, Secret } from '../kernel/index.ts'
import type { OutboundFetch } from '../oauth/index.ts'
import { oauth1AuthorizationRequest, oauth1CallbackToken, oauth1Tokens } from './flow.ts'

const server = {
  temporaryCredentialEndpoint: 'https://provider.example/initiate',
  authorizationEndpoint: 'https://provider.example/authorize?lang=en',
  tokenEndpoint: 'https://provider.example/token',
}
const temporary = { token: new Secret('temp token'), tokenSecret: new Secret('temp-secret') }

function exchangeAnswering(status: number, body: string) {
  const calls: { url: string; authorization: string }[] = []
  const fetch: OutboundFetch = async (url, { headers }) => {
    calls.push({ url, authorization: headers['authorization']! })
    return new Response(body, { status })
  }
  const client = { consumerKey: 'key', consumerSecret: new Secret('canary-consumer'), signatureMethod: 'HMAC-SHA1' } as const
  return { calls, exchange: { server, client, fetch, clock: new ManualClock() } }
}

describe('the flow of OAuth 1.0a', () => {
  it('asks with the callback and sends the person to the consent page with the temporary token', async () => {
    const { calls, exchange } = exchangeAnswering(200, 'oauth_token=t%201&oauth_token_secret=s&oauth_callback_confirmed=true')
    const { url, temporary: given } = await oauth1AuthorizationRequest(exchange, 'https://app.example/cb?x=1')
    expect(url).toBe('https://provider.example/authorize?lang=en&oauth_token=t+1')
    expect(given.tokenSecret.reveal()).toBe('s')
    expect(calls[0]!.url).toBe(server.temporaryCredentialEndpoint)
    expect(calls[0]!.authorization).toContain('oauth_callback="https%3A%2F%2Fapp.example%2Fcb%3Fx%3D1"')
  })

  it.each([
    ['no confirmation of the callback', 200, 'oauth_token=t&oauth_token_secret=s', 'connect_exchange_failed'],
    ['no secret', 200, 'oauth_token=t&oauth_callback_confirmed=true', 'connect_exchange_failed'],
    [
      'a token given twice',
      200,
      'oauth_token=t&oauth_token=u&oauth_token_secret=s&oauth_callback_confirmed=true',
      'connect_exchange_failed',
    ],
    ['HTML', 200, '<html>oauth_token', 'connect_exchange_failed'],
    ['a refusal of the client', 401, 'oauth_problem=consumer_key_unknown', 'provider_misconfigured'],
    ['a server error', 503, '', 'connect_exchange_failed'],
  ])('refuses an answer with %s', async (_what, status, body, code) => {
    const { exchange } = exchangeAnswering(status, body)
    await expect(oauth1AuthorizationRequest(exchange, 'https://app.example/cb')).rejects.toMatchObject({ code })
  })

  it('exchanges the verifier once, signed with the temporary secret, and keeps what else was said', async () => {
    const { calls, exchange } = exchangeAnswering(200, 'oauth_token=T&oauth_token_secret=S&user_id=7&screen_name=ann')
    const { credential, extra } = await oauth1Tokens(exchange, 'oauth_token=temp+token&oauth_verifier=v', temporary)
    expect([credential.token.reveal(), credential.tokenSecret.reveal()]).toEqual(['T', 'S'])
    expect(JSON.parse(extra.reveal())).toEqual({ user_id: '7', screen_name: 'ann' })
    expect(calls).toHaveLength(1)
    expect(calls[0]!.authorization).toContain('oauth_verifier="v"')
    expect(calls[0]!.authorization).toContain('oauth_token="temp%20token"')
  })

  it.each([
    ['another token', 'oauth_token=other&oauth_verifier=v', 'connect_state_invalid'],
    ['no verifier', 'oauth_token=temp+token', 'connect_state_invalid'],
    ['two verifiers', 'oauth_token=temp+token&oauth_verifier=v&oauth_verifier=w', 'connect_state_invalid'],
    ['two tokens', 'oauth_token=temp+token&oauth_token=other&oauth_verifier=v', 'connect_state_invalid'],
    ['a denial', 'denied=temp+token', 'connect_denied'],
    ['a denial of another request', 'denied=other', 'connect_state_invalid'],
  ])('calls nobody after a callback with %s', async (_what, query, code) => {
    const { calls, exchange } = exchangeAnswering(200, '')
    await expect(oauth1Tokens(exchange, query, temporary)).rejects.toMatchObject({ code })
    expect(calls).toEqual([])
  })

  it('O-14 finds the request that a callback answers by its one token, in whatever form it comes', () => {
    expect(oauth1CallbackToken('oauth_token=a%20b&oauth_verifier=v').reveal()).toBe('a b')
    expect(() => oauth1CallbackToken('')).toThrow(expect.objectContaining({ code: 'connect_state_invalid' }) as Error)
    expect(() => oauth1CallbackToken(`oauth_token=${'a'.repeat(9000)}`)).toThrow()
  })

  it('says nothing of a secret in what it throws', async () => {
    const { exchange } = exchangeAnswering(401, 'canary-consumer')
    const error: unknown = await oauth1AuthorizationRequest(exchange, 'https://app.example/cb').catch((thrown: unknown) => thrown)
    expect(String((error as Error).stack) + JSON.stringify(error)).not.toContain('canary')
  })
})
