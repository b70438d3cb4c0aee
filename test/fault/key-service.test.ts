import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { configFor, GatewayRefused, setStage, startAws, startGatewayProcess } from '@sallyport/testkit'
import type { Aws } from '@sallyport/testkit'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const kms = (aws: Aws, key: string): Record<string, string> => ({
  SALLYPORT_KEYS_WRAPPER: 'aws-kms',
  SALLYPORT_KEYS_AWS_KMS_KEYS: key,
  SALLYPORT_KEYS_AWS_KMS_ENDPOINT: aws.endpoint,
  SALLYPORT_KEYS_AWS_ACCESS_KEY_ID: aws.accessKeyId,
  SALLYPORT_KEYS_AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
})

describe('a key service that goes away', () => {
  it('C-09 stops no call whose data key is in memory, refuses the others with 503, and needs no restart when it is back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-kms-'))
    cleanups.push(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))
    const aws = await startAws()
    cleanups.push(() => aws.close())
    const settings = { dataDir: join(folder, 'data'), variables: kms(aws, aws.createKey()) }
    const stage = await setStage(settings)
    cleanups.push(() => stage.close())
    stage.upstream.answer((_request, response) => void response.end('from the provider'))
    expect((await stage.call('/x')).status).toBe(200)

    aws.behave('throttled')
    expect((await stage.call('/x')).status).toBe(200)
    await stage.gateway.stop()
    const refused: unknown = await startGatewayProcess(settings).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(GatewayRefused)
    expect((refused as GatewayRefused).output).toContain("AWS KMS can't answer now (ThrottlingException) [key_source_unavailable]")

    aws.behave('lawful')
    const again = await startGatewayProcess({ ...settings, file: configFor(stage.issuer, stage.upstream) })
    cleanups.push(() => again.stop())
    const call = (): Promise<Response> =>
      fetch(`${again.url}/proxy/api/x`, { headers: { authorization: `Bearer ${stage.key}`, 'sallyport-connection': stage.connection } })
    aws.behave('denied')
    const before = stage.upstream.seen.length
    const answer = await call()
    expect([answer.status, answer.headers.get('sallyport-error-source')]).toEqual([503, 'gateway'])
    expect(await answer.json()).toMatchObject({ code: 'key_unavailable' })
    expect(stage.upstream.seen.length).toBe(before)
    expect(again.output()).toContain('The key service gives no keys')

    aws.behave('lawful')
    await expect.poll(async () => (await call()).status, { timeout: 20_000 }).toBe(200)
    expect(again.output()).toContain('The key service answers again')
    expect(again.output()).not.toContain(aws.secretAccessKey)
  })
})
