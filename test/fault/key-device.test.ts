import { readdir, readFile } from 'node:fs/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { configFor, GatewayRefused, setStage, startGatewayProcess, startSoftHsm } from '@sallyport/testkit'
import type { Owner, SoftHsm } from '@sallyport/testkit'
import { temporaryFolder } from '../../packages/testkit/src/servers/temporary-folder.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const settingsOf = (hsm: SoftHsm): Record<string, string> => ({
  ...hsm.environment,
  SALLYPORT_KEYS_WRAPPER: 'pkcs11',
  SALLYPORT_KEYS_PKCS11_MODULE: hsm.module,
  SALLYPORT_KEYS_PKCS11_TOKEN_SERIAL: hsm.serial,
  SALLYPORT_KEYS_PKCS11_PIN: hsm.pin,
  SALLYPORT_KEYS_PKCS11_KEYS: 'root',
})

/**
 * Until the gateway asks the device nothing by itself any more. The key that signs checkpoints is the last thing it fetches, after it listens;
 * an export waits for it. A question under way when the device goes would end the device's process before a test can.
 */
async function untilSigning(url: string, { browser, place }: Owner): Promise<void> {
  const look = async (): Promise<number> => {
    const exported = await browser(`${url}/api/v1/orgs/${place.org}/audit-events/export`)
    // To its end, which is signed.
    await exported.text()
    return exported.status
  }
  // 429 while a checkpoint of the same log is signed by itself at the same moment.
  await expect.poll(look, { timeout: 20_000, interval: 1_000 }).toBe(200)
}

/** Of the process that holds the module, a child of `gateway`. */
async function deviceProcessOf(gateway: number): Promise<number> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/u.test(name)) continue
    const status = await readFile(`/proc/${name}/status`, 'utf8').catch(() => '')
    const command = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (status.includes(`PPid:\t${gateway}\n`) && command.includes('device-process')) return Number(name)
  }
  throw new Error('no process holds the module')
}

/** Kills it. Where the gateway was asking the device as it went, it has ended the process itself. */
async function endDeviceProcess(gateway: number): Promise<void> {
  const holding = await deviceProcessOf(gateway).catch(() => undefined)
  if (holding !== undefined && isAlive(holding)) process.kill(holding, 'SIGKILL')
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('a device that holds the root key', () => {
  it(
    'C-09 may hang, crash or go away: calls whose data key is in memory go on, the others get 503, and no restart is needed',
    { timeout: 120_000 },
    async () => {
      const hsm = await startSoftHsm()
      cleanups.push(() => hsm.close())
      await hsm.makeKey('root')
      const settings = { dataDir: `${await temporaryFolder()}/data`, variables: settingsOf(hsm) }
      const stage = await setStage(settings)
      cleanups.push(() => stage.close())
      stage.upstream.answer((_request, response) => void response.end('from the provider'))
      await untilSigning(stage.gateway.url, stage.owner)
      hsm.hang()
      expect((await stage.call('/x')).status).toBe(200)
      // Ends although the module doesn't answer, and takes the module's process along.
      const holding = await deviceProcessOf(stage.gateway.pid)
      expect(await stage.gateway.stop()).toBe(0)
      expect(isAlive(holding)).toBe(false)
      hsm.unhang()
      hsm.remove()
      const refused: unknown = await startGatewayProcess(settings).catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(GatewayRefused)
      expect((refused as GatewayRefused).output).toContain('no token with the configured serial is there [key_source_unavailable]')
      hsm.putBack()

      const again = await startGatewayProcess({ ...settings, file: configFor(stage.issuer, stage.upstream) })
      cleanups.push(() => again.stop())
      const call = (): Promise<Response> =>
        fetch(`${again.url}/proxy/api/x`, { headers: { authorization: `Bearer ${stage.key}`, 'sallyport-connection': stage.connection } })
      // Nobody signs in: what is written of that is sealed, and would bring the data key into memory.
      hsm.remove()
      await endDeviceProcess(again.pid)
      const before = stage.upstream.seen.length
      const answer = await call()
      expect([answer.status, answer.headers.get('sallyport-error-source')]).toEqual([503, 'gateway'])
      expect(await answer.json()).toMatchObject({ code: 'key_unavailable' })
      expect(stage.upstream.seen.length).toBe(before)
      expect(again.output()).toContain('The key service gives no keys')

      hsm.putBack()
      await expect.poll(async () => (await call()).status, { timeout: 20_000 }).toBe(200)
      expect(again.output()).toContain('The key service answers again')
      expect(again.output()).not.toContain(hsm.pin)

      const last = await deviceProcessOf(again.pid)
      await again.kill()
      await expect.poll(() => isAlive(last), { timeout: 10_000 }).toBe(false)
    },
  )
})
