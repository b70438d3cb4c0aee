import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { EgressError } from '../http/index.ts'
import { ManualClock, Secret } from '../kernel/index.ts'
import { createAccessTokens } from './service-account.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
const account = (more: object = {}): Secret =>
  new Secret(JSON.stringify({ type: 'service_account', client_email: 'robot@project.example', private_key: pem, ...more }))
const provider = { id: 'vertex', tokens: { endpoint: 'https://token.example/token', scope: 'all' } }

function trial(answer: () => Response = () => Response.json({ access_token: 'token', expires_in: 3_600 })) {
  const clock = new ManualClock()
  const asked: string[] = []
  const tokens = createAccessTokens({
    clock,
    fetch: (url) => {
      asked.push(String(url))
      return Promise.resolve(answer())
    },
  })
  const buy = async (more: object = {}) =>
    (await tokens.of({ owner: 'org', provider, credential: account(), once: false, ...more })).reveal()
  return { clock, asked, tokens, buy }
}

describe('access tokens of service accounts', () => {
  const counting = () => {
    let sold = 0
    return trial(() => Response.json({ access_token: `token-${(sold += 1)}`, expires_in: 3_600 }))
  }

  it('are bought once for all who wait, and remembered until shortly before their end', async () => {
    const { buy, asked: purchases, clock } = counting()
    expect(await Promise.all([buy(), buy(), buy()])).toEqual(['token-1', 'token-1', 'token-1'])
    clock.advance((3_600 - 300) * 1_000 - 1)
    expect(await buy()).toBe('token-1')
    clock.advance(1)
    expect(await buy()).toBe('token-2')
    expect(purchases).toEqual(['https://token.example/token', 'https://token.example/token'])
  })

  it('are of one organization and one credential, and forgotten with its owner', async () => {
    const { buy, tokens } = counting()
    expect([await buy(), await buy({ owner: 'other' }), await buy({ credential: account({ project_id: 'p' }) })]).toEqual([
      'token-1',
      'token-2',
      'token-3',
    ])
    tokens.forget('org')
    expect([await buy({ owner: 'other' }), await buy()]).toEqual(['token-2', 'token-4'])
    tokens.forget(undefined)
    expect(await buy({ owner: 'other' })).toBe('token-5')
  })

  it('that were bought for one call are not remembered', async () => {
    const { buy } = counting()
    expect([await buy({ once: true }), await buy({ once: true }), await buy()]).toEqual(['token-1', 'token-2', 'token-3'])
  })

  it('S96 are bought for others while those of one organization, bought one by one for keys of its callers, hang by the hundred', async () => {
    const hanging: (() => void)[] = []
    const fetch = (): Promise<Response> => new Promise((resolve) => hanging.push(() => resolve(sold())))
    const sold = (): Response => Response.json({ access_token: 'token', expires_in: 3_600 })
    const bound = createAccessTokens({ clock: new ManualClock(), fetch })
    const buy = (owner: string, n = 0) => bound.of({ owner, provider, credential: account({ project_id: `p${n}` }), once: true })
    const crowd = Array.from({ length: 100 }, (_, n) => buy('crowd', n))
    await expect.poll(() => hanging.length).toBe(16)
    const other = buy('other')
    await expect.poll(() => hanging.length).toBe(17)
    hanging.pop()!()
    expect((await other).reveal()).toBe('token')
    // The crowd goes on as its own come back, sixteen at once.
    for (let ended = 0; ended < crowd.length;) {
      await expect.poll(() => hanging.length).toBeGreaterThan(0)
      expect(hanging.length).toBeLessThanOrEqual(16)
      ended += hanging.length
      for (const end of hanging.splice(0)) end()
    }
    expect(await Promise.all(crowd)).toHaveLength(100)
  })

  it('are bought at the record’s address, whatever the key’s file names', async () => {
    const { buy, asked: purchases } = counting()
    await buy({ credential: account({ token_uri: 'https://elsewhere.example/token' }) })
    expect(purchases).toEqual(['https://token.example/token'])
  })

  it('are not asked for again for a moment after a refusal', async () => {
    const { buy, asked: purchases, clock } = trial(() => Response.json({ error: 'invalid_grant' }, { status: 400 }))
    for (const _ of [1, 2]) await expect(buy()).rejects.toMatchObject({ code: 'provider_key_rejected' })
    expect(purchases).toHaveLength(1)
    clock.advance(5_000)
    await expect(buy()).rejects.toMatchObject({ code: 'provider_key_rejected' })
    expect(purchases).toHaveLength(2)
  })

  it('for one call are bought once for all who wait, and are not asked for again for a moment after a refusal', async () => {
    const { buy, asked: purchases, clock } = trial(() => Response.json({ error: 'invalid_grant' }, { status: 400 }))
    const own = { once: true }
    const both = await Promise.allSettled([buy(own), buy(own)])
    expect([both.map(({ status }) => status), purchases.length]).toEqual([['rejected', 'rejected'], 1])
    await expect(buy(own)).rejects.toMatchObject({ code: 'provider_key_rejected' })
    expect(purchases).toHaveLength(1)
    // Another's, another organization's and a kept one are asked for all the same.
    for (const more of [{ ...own, credential: account({ project_id: 'p' }) }, { ...own, owner: 'other' }, {}])
      await expect(buy(more)).rejects.toMatchObject({ code: 'provider_key_rejected' })
    expect(purchases).toHaveLength(4)
    clock.advance(5_000)
    await expect(buy(own)).rejects.toMatchObject({ code: 'provider_key_rejected' })
    expect(purchases).toHaveLength(5)
  })

  it.each([
    ['a server that fails', () => new Response('', { status: 503 }), 'upstream_unreachable'],
    ['one that limits', () => new Response('', { status: 429 }), 'upstream_unreachable'],
    ['HTML', () => new Response('<html>'), 'upstream_invalid'],
    ['no token', () => Response.json({ expires_in: 3_600 }), 'upstream_invalid'],
    ['a token that would end a header', () => Response.json({ access_token: 'a\r\nb', expires_in: 3_600 }), 'upstream_invalid'],
  ])('are a passing failure with %s, which is not remembered', async (_what, answer, code) => {
    const { buy, asked: purchases } = trial(answer)
    await expect(buy({ once: true })).rejects.toMatchObject({ code })
    for (const _ of [1, 2]) await expect(buy()).rejects.toMatchObject({ code })
    await expect(buy({ once: true })).rejects.toBeInstanceOf(EgressError)
    expect(purchases).toHaveLength(4)
  })

  it('are not to be had with a private key that does not sign, of which nothing is repeated', async () => {
    const text = '-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n'
    const { buy, asked: purchases } = trial()
    const error = await buy({ credential: account({ private_key: text }) }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'provider_key_rejected' })
    expect(JSON.stringify([String(error), (error as { publicDetail: string }).publicDetail])).not.toContain('bm90IGEga2V5')
    expect(purchases).toHaveLength(0)
  })
})
