/** What a sandbox remembers across restarts, and how it lives as a process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startSandbox, type Sandbox } from '../src/index.ts'
import { askToken, connect, userInfo } from './flow.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sandbox-test-'))
})
afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))

const start = (): Promise<Sandbox> => startSandbox({ github: { port: 0 }, google: { port: 0 }, stateFile: join(folder, 'grants.json') })

describe('a sandbox with a state file', () => {
  it('knows its tokens, their users and their subjects after a restart', async () => {
    const first = await start()
    const github = await connect(first.github, 'second-sandbox')
    const google = await connect(first.google, 'grace@sandbox.example')
    const before = await userInfo(first.google, google.access_token)
    await first.close()

    const second = await start()
    try {
      expect((await userInfo(second.github, github.access_token)).body.login).toBe('second-sandbox')
      const after = await Promise.all(Array.from({ length: 5 }, () => userInfo(second.google, google.access_token)))
      for (const { body } of after) expect([body.email, body.sub]).toEqual(['grace@sandbox.example', before.body.sub])
      const refreshed = await askToken(second.google, { grant_type: 'refresh_token', refresh_token: String(google.refresh_token) })
      expect((await userInfo(second.google, refreshed.body.access_token)).body.email).toBe('grace@sandbox.example')
      expect((await userInfo(second.github, 'made-up')).status).toBe(401)
    } finally {
      await second.close()
    }
  })

  it('keeps the file to its owner, whole, and free of tokens', async () => {
    const sandbox = await start()
    const { access_token, refresh_token } = await connect(sandbox.google)
    await sandbox.close()
    const file = join(folder, 'grants.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['grants.json'])
    const text = await readFile(file, 'utf8')
    expect(text).not.toContain(String(access_token))
    expect(text).not.toContain(String(refresh_token))
  })

  it('refuses a file it cannot read and leaves it alone', async () => {
    const file = join(folder, 'grants.json')
    await writeFile(file, '{"version":1,"gra')
    await expect(start()).rejects.toThrow(file)
    expect(await readFile(file, 'utf8')).toBe('{"version":1,"gra')
  })
})

describe('a sandbox without a free port', () => {
  it('takes another one for a preferred port that is busy, and fails for one that was demanded', async () => {
    const first = await startSandbox()
    const second = await startSandbox()
    try {
      expect(second.github.origin).not.toBe(first.github.origin)
      const port = Number(new URL(first.github.origin).port)
      await expect(startSandbox({ github: { port } })).rejects.toMatchObject({ code: 'EADDRINUSE' })
    } finally {
      await Promise.all([first.close(), second.close()])
    }
  })
})

describe('the sandbox process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('says where it listens in one line and ends on %s with 0', async (signal) => {
    const { child, origins, ended } = await spawnSandbox()
    expect((await fetch(origins.github.origin)).status).toBeLessThan(500)
    child.kill(signal)
    expect(await ended).toBe(0)
  })

  it('ends when whoever started it is gone', async () => {
    const { child, ended } = await spawnSandbox()
    child.stdin?.destroy()
    expect(await ended).toBe(0)
  })
})

async function spawnSandbox(): Promise<{ child: ChildProcess; origins: { github: { origin: string } }; ended: Promise<number> }> {
  const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const child = spawn(process.execPath, [main, '--github-port', '0', '--google-port', '0', '--models-port', '0'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit').then(([code]) => code as number)
  let text = ''
  for await (const chunk of child.stdout) {
    text += String(chunk)
    if (text.endsWith('\n')) break
  }
  return { child, origins: JSON.parse(text) as { github: { origin: string } }, ended }
}
