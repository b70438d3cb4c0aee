import { describe, expect, it } from 'vitest'
import { createLogger, Secret } from '@sallyport/core'
import type { Config } from '../config.ts'
import { plaintextStores, requirePrivateStores } from './plaintext-stores.ts'

const NAMES: Readonly<Record<string, readonly string[]>> = {
  postgres: ['172.18.0.2'],
  redis: ['fd00::7', '10.0.0.7'],
  'db.example.com': ['203.0.114.9'],
  mixed: ['10.0.0.7', '1.1.1.1'],
  'six-to-four': ['2002:808:808::1'],
  teredo: ['fd00::7', '2001:0:808:808::1'],
}
const find = async (host: string) => NAMES[host] ?? (/^[\d.]+$/u.test(host) ? [host] : Promise.reject(new Error('no such name')))

const configOf = (urls: Partial<Record<'databaseUrl' | 'redisUrl', string>>): Config =>
  ({
    mode: 'production',
    ...Object.fromEntries(Object.entries(urls).map(([name, url]) => [name, new Secret(url)])),
  }) as unknown as Config

const started = async (config: Config): Promise<{ code: string | undefined; log: string }> => {
  const log: string[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const code = await requirePrivateStores(config, logger, find).then(
    () => undefined,
    (error: unknown) => (error as { code: string }).code,
  )
  return { code, log: log.join('\n') }
}

describe('stores that are spoken to without verified TLS', () => {
  it('X-04 are named by their settings when they are in a network of their own, and no part of their address is said', async () => {
    const config = configOf({ databaseUrl: 'postgres://u:pw-1@postgres/d?sslmode=disable', redisUrl: 'redis://:pw-1@redis' })
    expect(await plaintextStores(config, find)).toEqual([
      { setting: 'databaseUrl', leadsTo: 'private' },
      { setting: 'redisUrl', leadsTo: 'private' },
    ])
    const { code, log } = await started(config)
    expect(code).toBeUndefined()
    expect(log).toMatch(/without verified TLS.*databaseUrl[\s\S]*redisUrl/u)
    expect(log).not.toContain('pw-1')
  })

  it.each(['db.example.com', 'mixed', 'six-to-four', 'teredo'])(
    'X-04 end the start when the name leads to a public address: %s',
    async (host) => {
      for (const mode of ['disable', 'require']) {
        expect((await started(configOf({ databaseUrl: `postgres://u:pw-1@${host}/d?sslmode=${mode}` }))).code).toBe('store_public')
      }
      expect((await started(configOf({ redisUrl: `redis://:pw-1@${host}` }))).code).toBe('store_public')
    },
  )

  it('X-04 are none with TLS, on this machine and in socket folders; a name that leads nowhere is left to who connects', async () => {
    for (const url of [
      'postgres://u:pw-1@db.example.com/d',
      'postgres://u:pw-1@db.example.com/d?sslmode=verify-full',
      'postgres://u:pw-1@127.0.0.1/d?sslmode=disable',
      'postgres://u:pw-1@%2Frun%2Fpg/d?sslmode=disable',
    ])
      expect(await plaintextStores(configOf({ databaseUrl: url }), find)).toEqual([])
    const nowhere = configOf({ databaseUrl: 'postgres://u:pw-1@gone/d?sslmode=disable' })
    expect(await plaintextStores(nowhere, find)).toEqual([{ setting: 'databaseUrl', leadsTo: 'nowhere' }])
    expect((await started(nowhere)).code).toBeUndefined()
  })
})
