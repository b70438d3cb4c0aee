/** A newer version comes to the database that nodes of this one serve from: they finish what they have and end, before it changes anything. */
import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, inject, it } from 'vitest'
import { createLogger, Secret, sha256 } from '@sallyport/core'
import { configFor, GatewayRefused, setStage, startGatewayProcess } from '@sallyport/testkit'
import { migrate } from '../../packages/server/src/db/index.ts'
import { readMigrations } from '../../packages/server/src/db/migrations.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const NEWER = 'set role sallyport_owner; create table sallyport.of_the_next_version (n int); reset role;'
const newer = [...readMigrations(), { name: '9999_of_the_next_version', sql: NEWER, checksum: sha256(NEWER).toString('hex') }]
const silent = createLogger({ level: 'silent', format: 'json' })

describe('nodes of one version, when a newer one migrates', () => {
  it('finish the calls that run, end by themselves and say why, and can not be started again', { timeout: 180_000 }, async () => {
    const variables = {
      SALLYPORT_ENCRYPTION_KEYS: `test:${randomBytes(32).toString('hex')}`,
      // The call of one runs until the other has ended, however long a busy machine takes for that.
      SALLYPORT_DRAIN_TIMEOUT_MS: '100000',
    }
    const stage = await setStage({ postgresUrl: inject('postgresUrl'), variables })
    cleanups.push(() => stage.close())
    const again = () =>
      startGatewayProcess({ variables: { ...stage.gateway.database, ...variables }, file: configFor(stage.issuer, stage.upstream) })
    const second = await again()
    cleanups.push(() => second.kill())
    const entered = Promise.withResolvers<void>()
    const letGo = Promise.withResolvers<void>()
    stage.upstream.answer((_request, response) => {
      entered.resolve()
      void letGo.promise.then(() => response.end('whole'))
    })
    const running = stage.call('/x').then(async (response) => [response.status, await response.text()])
    await entered.promise
    let migrated = false
    const migrating = migrate({ url: new Secret(stage.gateway.databaseUrl!), logger: silent, migrations: newer }).then(({ applied }) => {
      migrated = true
      return applied
    })
    await second.ended
    await expect.poll(() => stage.gateway.output(), { timeout: 60_000 }).toContain('Another version takes the database over')
    expect(migrated).toBe(false)
    letGo.resolve()
    expect(await running).toEqual([200, 'whole'])
    expect(await migrating).toEqual(['9999_of_the_next_version'])
    expect([await stage.gateway.ended, await second.ended]).toEqual([4, 4])
    for (const node of [stage.gateway, second]) expect(node.output()).toMatch(/^sallyport: .*\[database_migrating\]$/mu)
    const refused: unknown = await again().catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(GatewayRefused)
    expect(refused).toMatchObject({ exitCode: 4, output: expect.stringContaining('[database_migration_unknown]') as string })
  })
})
