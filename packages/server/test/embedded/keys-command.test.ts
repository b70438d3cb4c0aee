import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { generateKeyBytes } from '@sallyport/core'
import { freePort } from '../../../testkit/src/servers/free-port.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))

async function environment(): Promise<Record<string, string>> {
  const port = String(await freePort())
  return { PATH: process.env['PATH'] ?? '', SALLYPORT_MODE: 'development', SALLYPORT_PORT: port, SALLYPORT_LOG_LEVEL: 'error' }
}

function keys(words: string, env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, 'keys', ...words.split(' ')], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })
}

it('S42 S65 turns the root key of a data folder, which a running gateway keeps for itself', async () => {
  const env = await environment()
  const gateway = fork(MAIN, ['serve'], { cwd: folder, env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  await once(gateway, 'message')
  for (const words of ['status', 'generate --append', 'rotate root --generate']) {
    expect(await keys(words, env)).toMatchObject({ code: 4, stderr: expect.stringContaining('A gateway runs on') as string })
  }
  gateway.kill('SIGTERM')
  await once(gateway, 'exit')
  const { code, stdout } = await keys('rotate root --generate --json', env)
  expect(code).toBe(0)
  const { to, left } = JSON.parse(stdout) as { to: string; left: object }
  expect(left).toEqual({ 'root-1': 0 })
  expect(await keys('remove root-1', env)).toMatchObject({ code: 0 })
  const file = await readFile(join(folder, '.sallyport/secrets/root-keys'), 'utf8')
  // Nothing else is in it. By whole lines: the new key's id may begin as the old one's.
  expect(file).toMatch(new RegExp(String.raw`^${to}:[0-9a-f]{64}\n$`, 'u'))
  expect(await keys('verify', env)).toMatchObject({ code: 0 })
})

it('appends no key to a folder whose gateway is given its keys', async () => {
  const env = { ...(await environment()), SALLYPORT_ENCRYPTION_KEYS: `k1:${generateKeyBytes().toString('hex')}` }
  expect(await keys('generate --append', env)).toMatchObject({ code: 4, stderr: expect.stringContaining('encryption keys') as string })
})

it('leaves a file of root keys that it can not read as it is', async () => {
  const env = await environment()
  expect(await keys('generate --append', env)).toMatchObject({ code: 0 })
  const path = join(folder, '.sallyport/secrets/root-keys')
  await writeFile(path, 'not keys\n')
  expect((await keys('generate --append', env)).code).toBe(4)
  expect(await readFile(path, 'utf8')).toBe('not keys\n')
})
