import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateKeyBytes } from '@sallyport/core'
import { startTestRedis } from '../../../testkit/src/servers/redis.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-config-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command in the empty folder, with these variables and no others of ours. */
function sallyport(args: readonly string[], env: Record<string, string>): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { cwd: folder, env: { PATH: process.env['PATH'], ...env } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

describe('the command line', () => {
  it('X-01 C-01 ends a production start with every fault at once, before anything is made', async () => {
    const { code, stdout, stderr } = await sallyport(['serve'], {
      SALLYPORT_MODE: 'production',
      SALLYPORT_PUBLIC_URL: 'http://gateway.example.com',
      SALLYPORT_ENCRYPTION_KEYS: `k1:${'00'.repeat(32)}`,
      SALLYPORT_DATABASE_URL: 'postgres://postgres:postgres@db.example.com/postgres?sslmode=disable',
      SALLYPORT_EGRESS_INSECURE_ALLOW_ORIGINS: 'http://127.0.0.1:7256',
      SALLYPORT_TYPO: '1',
    })
    expect(code).not.toBe(0)
    expect(stdout).toBe('')
    for (const setting of [
      'publicUrl',
      'encryptionKeys',
      'databaseUrl',
      'egress.insecureAllowOrigins',
      'trustedProxies',
      'SALLYPORT_TYPO',
    ]) {
      expect(stderr).toContain(`\n  ${setting} `)
    }
    expect(stderr).not.toMatch(/\n\s+at /)
  })

  it('reads the file of the working folder and secret files, and doctor shows what came from where without the secrets', async () => {
    const key = generateKeyBytes().toString('hex')
    const canary = `canary-${crypto.randomUUID()}`
    await writeFile(join(folder, 'keys'), `k1:${key}\n`, { mode: 0o600 })
    await writeFile(
      join(folder, 'sallyport.yaml'),
      'mode: development\nport: 7999\nencryptionKeysFile: keys\ndatabaseUrl: postgres://u:${PW}@127.0.0.1/d\n',
    )
    const { code, stdout, stderr } = await sallyport(['doctor', '--json'], { PW: canary, SALLYPORT_LOG_LEVEL: 'debug' })
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toMatchObject({
      mode: 'development [sallyport.yaml]',
      port: '7999 [sallyport.yaml]',
      publicUrl: 'http://127.0.0.1:7999 [default]',
      encryptionKeys: '[secret] [sallyport.yaml, encryptionKeysFile]',
      databaseUrl: '[secret] [sallyport.yaml]',
      logLevel: 'debug [SALLYPORT_LOG_LEVEL]',
    })
    expect(stdout).not.toContain(canary)
    expect(stdout).not.toContain(key)
  })

  it('doctor says whether the Redis of the configuration answers', { timeout: 120_000 }, async () => {
    const redis = await startTestRedis()
    const silent = createServer()
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const doctor = async (url: string) => {
      const { code, stdout } = await sallyport(['doctor', '--json'], { SALLYPORT_MODE: 'development', SALLYPORT_REDIS_URL: url })
      return [code, (JSON.parse(stdout) as Record<string, string>)['health.redis']]
    }
    try {
      expect(await doctor(redis.url)).toEqual([0, 'answers'])
      expect(await doctor(`redis://127.0.0.1:${port}`)).toEqual([0, expect.stringMatching(/^does not answer/u)])
    } finally {
      silent.close()
      await redis.stop()
    }
  })

  it('refuses a file that is named and not there', async () => {
    const { code, stderr } = await sallyport(['doctor'], { SALLYPORT_MODE: 'development', SALLYPORT_CONFIG: 'none.yaml' })
    expect(code).not.toBe(0)
    expect(stderr).toContain("none.yaml can't be read (ENOENT)")
  })

  it('refuses words that it doesn’t know, before anything is made', async () => {
    const { code, stderr } = await sallyport(['serve', 'extra', '--nope'], { SALLYPORT_MODE: 'development' })
    expect(code).toBe(2)
    expect(stderr).toContain('serve takes no extra --nope')
  })

  it('says what to do when the database can’t be reached', async () => {
    const { code, stderr } = await sallyport(['serve'], {
      SALLYPORT_MODE: 'development',
      SALLYPORT_DATABASE_URL: 'postgres://gateway:not-a-password@127.0.0.1:1/nowhere',
    })
    expect(code).toBe(4)
    expect(stderr).toContain('SALLYPORT_DATABASE_URL')
  })

  it('is found as `sallyport`, hands its words on and its exit code back, on whatever Node runs the installation', async () => {
    const command = fileURLToPath(new URL('../../bin/sallyport.mjs', import.meta.url))
    const run = (file: string, args: readonly string[]): Promise<Ended> =>
      new Promise((resolve) => {
        execFile(file, [command, ...args], { cwd: folder, env: { PATH: process.env['PATH'] } }, (error, stdout, stderr) => {
          resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
        })
      })
    // `node` is what the machine's path says, and may be older than the one that runs this test.
    for (const file of [process.execPath, 'node']) {
      expect(await run(file, ['help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('serve') as string })
      expect(await run(file, ['serve', 'extra'])).toMatchObject({ code: 2 })
      expect(await run(file, ['doctor'])).toMatchObject({ code: 3 })
    }
  })
})
