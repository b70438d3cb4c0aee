import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { RootKeyring } from './keyring.ts'
import { joinRootKeys, unwrapUnder } from './root-keys.ts'
import { generateKeyBytes } from './sealing-key.ts'

const ring = (...ids: string[]): RootKeyring =>
  RootKeyring.parse(new Secret(ids.map((id) => `${id}:${generateKeyBytes().toString('hex')}`).join()))
const place = { purpose: 'p', org: '', table: 't', column: 'c', record: 'r', seq: 0n }

describe('root keys of several holders', () => {
  it('are one set: the first wraps, each unwraps its own', async () => {
    const [first, second] = [ring('a', 'b'), ring('c')]
    const joined = joinRootKeys(first, second)
    expect([joined.primary.id, joined.ids, joined.get('d')]).toEqual(['a', ['a', 'b', 'c'], undefined])
    for (const id of joined.ids) {
      const wrapped = await joined.get(id)!.wrap(Buffer.from('bytes'), place)
      expect((await unwrapUnder(joined, wrapped, place)).toString()).toBe('bytes')
      await expect(unwrapUnder(joined, wrapped, { ...place, record: 'other' })).rejects.toMatchObject({ code: 'decrypt_failed' })
    }
    const foreign = await ring('d').primary.wrap(Buffer.from('bytes'), place)
    await expect(unwrapUnder(joined, foreign, place)).rejects.toMatchObject({ code: 'key_unknown' })
  })

  it('refuse two holders of one id', () => {
    expect(() => joinRootKeys(ring('a', 'b'), ring('b'))).toThrow(expect.objectContaining({ code: 'key_invalid' }))
  })
})
