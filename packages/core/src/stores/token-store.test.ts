import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openTokenStore } from './token-store.ts'
import type { TokenStoreConfig } from './token-store.ts'

const encryption = { key: randomBytes(32).toString('hex'), algorithm: 'aes-256-gcm' }
const refusal = (config: unknown, production = true): unknown => {
  try {
    return openTokenStore(config as TokenStoreConfig, { production })
  } catch (error) {
    return error
  }
}

describe('a token store by configuration', () => {
  it.each(['memory', 'redis', 'postgres'] as const)('is opened and closed as %s, without reaching anything', async (backend) => {
    const url = { memory: undefined, redis: 'redis://localhost:1', postgres: 'postgres://u:p@localhost:1/db' }[backend]
    const opened = openTokenStore({ backend, encryption, ...(url === undefined ? {} : { url }) }, { production: backend !== 'memory' })
    expect(opened.store.currentKeyId).toBe('default')
    expect(opened.store.durability.kind).toBe('none')
    await opened.close()
  })

  it('says so while its server is away, and then is still closed', async () => {
    for (const config of [
      { backend: 'redis', url: 'redis://localhost:1', encryption },
      { backend: 'postgres', url: 'postgres://u:p@localhost:1/db', encryption },
    ] as const) {
      const opened = openTokenStore(config, { production: true })
      const { store, leases } = opened
      await expect(store.read({ scope: 's', id: 'i' })).rejects.toMatchObject({ code: 'store_unavailable' })
      await expect(leases.take('a-key')).rejects.toMatchObject({ code: 'store_unavailable' })
      await opened.close()
    }
  })

  it.each([
    ['memory in production', { backend: 'memory' }],
    ['memory with a url', { backend: 'memory', url: 'redis://localhost' }, false],
    ['a server without a url', { backend: 'redis', encryption }],
    ['a server without encryption', { backend: 'postgres', url: 'postgres://u:p@localhost/db' }],
    ['another kind', { backend: 'file', url: 'x', encryption }],
    ['plain text to another host', { backend: 'redis', url: 'redis://:x@cache.example', encryption }],
    ['the url of another kind', { backend: 'postgres', url: 'redis://localhost', encryption }],
  ])('refuses %s', (_, config, production = true) => {
    expect(refusal(config, production)).toMatchObject({ code: 'store_misconfigured' })
  })

  it('refuses keys that are none', () => {
    expect(refusal({ backend: 'redis', url: 'redis://localhost', encryption: { key: 'a passphrase' } })).toMatchObject({
      code: 'key_invalid',
    })
  })
})
