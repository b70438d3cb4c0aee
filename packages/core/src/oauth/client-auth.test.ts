import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { basicOf, clientAuth } from './client-auth.ts'

const pairOf = (header: string | null): string => Buffer.from(header!.replace('Basic ', ''), 'base64').toString('utf8')

describe('a client’s proof in the header', () => {
  it.each([
    // Ids and secrets of Reddit and X have these, and neither is known to decode what it gets.
    ['a-client_of.X', '-a_se-cret', 'a-client_of.X:-a_se-cret'],
    ['a client', 'a:b%', 'a+client:a%3Ab%25'],
    ['ü', '§', '%C3%BC:%C2%A7'],
  ])('spells only what a form must spell: %s', async (clientId, secret, pair) => {
    expect(pairOf(basicOf(clientId, new Secret(secret)))).toBe(pair)
    const headers = new Headers()
    const proof = clientAuth({ tokenAuth: 'client_secret_basic' }, { clientSecret: new Secret(secret) })
    await proof({ issuer: 'https://a.example' }, { client_id: clientId }, new URLSearchParams(), headers)
    expect(pairOf(headers.get('authorization'))).toBe(pair)
  })
})
