import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { GatewayRefused, setStage, signInOwner, startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess, GatewaySettings } from '@sallyport/testkit'

const folders: string[] = []
const running: GatewayProcess[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.stop()))
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 })))
})

async function newDataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-start-'))
  folders.push(folder)
  return join(folder, 'data')
}

async function start(settings: GatewaySettings): Promise<GatewayProcess> {
  const gateway = await startGatewayProcess(settings)
  running.push(gateway)
  return gateway
}

/** A folder with data in it and nobody on it. */
async function filled(): Promise<{ dataDir: string; org: string }> {
  const dataDir = await newDataDir()
  const gateway = await startGatewayProcess({ dataDir })
  const { place } = await signInOwner(gateway)
  expect(await gateway.stop()).toBe(0)
  return { dataDir, org: place.org }
}

async function refusal(settings: GatewaySettings): Promise<{ exitCode: number | null; message: string; output: string }> {
  const refused = await startGatewayProcess(settings).then(
    async (gateway) => {
      await gateway.stop()
      throw new Error('it started')
    },
    (error: unknown) => error,
  )
  if (!(refused instanceof GatewayRefused)) throw refused
  const said = refused.output.split('\n').filter((line) => line.startsWith('sallyport: '))
  expect(said, refused.output).toHaveLength(1)
  expect(refused.output).not.toMatch(/\n\s+at /u)
  return { exitCode: refused.exitCode, message: said[0]!, output: refused.output }
}

interface Turned {
  readonly id: string
  readonly secret: string
}

function turned({ key, secret }: { readonly key: { readonly id: string }; readonly secret: string }): Turned {
  return { id: key.id, secret }
}

async function whoami(gateway: GatewayProcess, key: string): Promise<number> {
  return (await fetch(`${gateway.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${key}` } })).status
}

/** Every file below a folder with its bytes, so that "nothing destroyed" is a comparison. */
async function fingerprint(folder: string): Promise<string> {
  const hash = createHash('sha256')
  for (const entry of (await readdir(folder, { recursive: true, withFileTypes: true })).toSorted((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  )) {
    const path = join(entry.parentPath, entry.name)
    hash.update(path)
    if (entry.isFile() && !path.endsWith('gateway.lock')) hash.update(await readFile(path))
  }
  return hash.digest('hex')
}

describe('a start', () => {
  it('that is the second on a folder finds its data again', async () => {
    const { dataDir, org } = await filled()
    const again = await start({ dataDir })
    expect((await signInOwner(again)).place.org).toBe(org)
  })

  it('on a busy port names the port and what to do, before anything is made', async () => {
    const holder = createServer()
    await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
    const { port } = holder.address() as AddressInfo
    const dataDir = await newDataDir()
    const { exitCode, message } = await refusal({ dataDir, port })
    await new Promise<void>((resolve) => holder.close(() => resolve()))
    expect(exitCode).toBe(4)
    expect(message).toContain(`Port ${port}`)
    expect(message).toContain('SALLYPORT_PORT')
    await expect(stat(dataDir)).rejects.toThrow('ENOENT')
  })

  it('beside another gateway on the same folder is refused and leaves the first alone', async () => {
    const dataDir = await newDataDir()
    const first = await start({ dataDir })
    const { exitCode, message } = await refusal({ dataDir })
    expect(exitCode).toBe(4)
    expect(message).toContain(String(first.pid))
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200)
  })

  it.each([
    ['other bytes under the same id', `root-1:${randomBytes(32).toString('hex')}`, 'root_key_wrong'],
    ['another id', `other:${randomBytes(32).toString('hex')}`, 'root_key_missing'],
  ])('with a wrong root key (%s) says so and destroys nothing', async (_what, keys, code) => {
    const { dataDir } = await filled()
    const before = await fingerprint(join(dataDir, 'secrets'))
    const { exitCode, message } = await refusal({ dataDir, variables: { SALLYPORT_ENCRYPTION_KEYS: keys } })
    expect(exitCode).toBe(4)
    expect(message).toContain(code)
    expect(message).not.toContain(keys.slice(-64))
    expect(await fingerprint(join(dataDir, 'secrets'))).toBe(before)
    await (await startGatewayProcess({ dataDir })).stop()
  })

  it('whose root key file is gone does not make another one beside sealed data', async () => {
    const { dataDir } = await filled()
    await rm(join(dataDir, 'secrets/root-keys'))
    const { exitCode, message } = await refusal({ dataDir })
    expect(exitCode).toBe(4)
    expect(message).toContain('root_key_file_missing')
    await expect(stat(join(dataDir, 'secrets/root-keys'))).rejects.toThrow('ENOENT')
  })

  it('on a damaged data folder says what is wrong and changes nothing', async () => {
    const { dataDir } = await filled()
    await writeFile(join(dataDir, 'postgres/PG_VERSION'), 'nonsense\n')
    const before = await fingerprint(dataDir)
    const { exitCode, message } = await refusal({ dataDir })
    expect(exitCode).toBe(4)
    expect(message).toContain('data_dir_corrupt')
    expect(await fingerprint(dataDir)).toBe(before)
  })

  it('in a place where no folder can be made says so', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sallyport-start-'))
    folders.push(parent)
    // Root ignores permissions, so the way is barred by a file where a folder should be.
    await writeFile(join(parent, 'barred'), '')
    await chmod(parent, 0o500)
    const { exitCode, message } = await refusal({ dataDir: join(parent, 'barred/data') })
    expect(exitCode).toBe(4)
    expect(message).toContain('data_dir_unwritable')
  })

  it('below a file system that takes no folders says so instead of trying for ever', async () => {
    const { exitCode, message } = await refusal({ dataDir: '/proc/sallyport/data' })
    expect(exitCode).toBe(4)
    expect(message).toContain('data_dir_unwritable')
  })

  it.each([
    ['an unknown variable', { SALLYPORT_PROT: '1' }, 'SALLYPORT_PROT'],
    ['a number that is none', { SALLYPORT_LIMITS_MAX_REQUEST_BYTES: 'lots' }, 'SALLYPORT_LIMITS_MAX_REQUEST_BYTES'],
    ['production and neither keys nor https', { SALLYPORT_MODE: 'production' }, 'SALLYPORT_ENCRYPTION_KEYS'],
  ])('X-01 with %s is refused as a matter of configuration, naming it', async (_what, variables, named) => {
    const { exitCode, output } = await refusal({ dataDir: await newDataDir(), variables })
    expect(exitCode).toBe(3)
    expect(output).toContain(named)
  })
})

describe('a killed gateway', () => {
  it('leaves a folder that the next start opens with every acknowledged row', async () => {
    const rounds = 4
    const dataDir = await newDataDir()
    const acknowledged: string[] = []
    for (let round = 0; round < rounds; round++) {
      const gateway = await startGatewayProcess({ dataDir })
      const { client, place } = await signInOwner(gateway)
      const { data } = await client.call('keyList', { params: place, query: { limit: 200 } })
      expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged))
      const killed = new AbortController()
      const writing = (async () => {
        while (!killed.signal.aborted) {
          const made = await client.call('keyCreate', { params: place, body: { name: `round ${round}`, scopes: ['proxy:call'] } })
          acknowledged.push(made.key.id)
        }
      })().catch(() => undefined)
      await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(round * 4 + 3)
      await gateway.kill()
      killed.abort()
      await writing
    }
    const last = await start({ dataDir })
    const { client, place } = await signInOwner(last)
    const { data } = await client.call('keyList', { params: place, query: { limit: 200 } })
    expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(acknowledged))
    expect(await client.call('auditVerify', { params: { org: place.org } })).toMatchObject({ intact: true })
  })

  it('K-11 leaves a key that works, however a rotation of it was cut off', { timeout: 180_000 }, async () => {
    const dataDir = await newDataDir()
    let held: Turned | undefined
    for (let round = 0; round < 2; round++) {
      const gateway = await startGatewayProcess({ dataDir })
      const { client, place } = await signInOwner(gateway)
      if (held !== undefined) expect(await whoami(gateway, held.secret)).toBe(200)
      const made = await client.call('keyCreate', { params: place, body: { name: `round ${round}`, scopes: ['proxy:call'] } })
      let current = turned(made)
      let turns = 0
      const turning = (async () => {
        for (;;) {
          current = turned(await client.call('keyRotate', { params: { ...place, key: current.id }, body: { overlap_s: 3_600 } }))
          turns += 1
        }
      })().catch(() => undefined)
      // The kill falls somewhere into the next turn.
      await expect.poll(() => turns, { timeout: 30_000, interval: 7 }).toBeGreaterThan(round)
      await gateway.kill()
      await turning
      held = current
    }
    expect(await whoami(await start({ dataDir }), held!.secret)).toBe(200)
  })

  it('A-03 leaves a chain that verifies after kills in the middle of calls', async () => {
    const dataDir = await newDataDir()
    const stage = await setStage({ dataDir })
    stage.upstream.answer((_request, response) => void response.end('ok'))
    let calls = 0
    const calling = (async () => {
      for (;;) {
        await (await stage.call('/x')).text()
        calls += 1
      }
    })().catch(() => undefined)
    await expect.poll(() => calls, { timeout: 30_000 }).toBeGreaterThan(50)
    await stage.gateway.kill()
    await calling
    await stage.close()
    const again = await start({ dataDir })
    const { client, place } = await signInOwner(again)
    const verified = await client.call('auditVerify', { params: { org: place.org } })
    expect(verified).toMatchObject({ intact: true, first_fault: null })
    expect(Number(verified.events)).toBeGreaterThan(5)
  })
})
