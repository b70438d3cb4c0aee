/** What the entry script promises, in a folder of its own with an npm that only notes that it ran. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const NPM = `
const { appendFileSync, mkdirSync } = require('node:fs')
appendFileSync('npm-ran', process.argv.slice(2).join(' ') + '\\n')
mkdirSync('node_modules', { recursive: true })
process.exit(Number(process.env.NPM_EXIT ?? 0))
`

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'run-test-'))
  for (const file of ['run.mjs', 'install.mjs']) await cp(join(import.meta.dirname, file), join(root, 'scripts', file))
  await writeFile(join(root, 'npm.js'), NPM)
  await writeFile(join(root, 'package.json'), '{"type":"commonjs"}')
  await writeFile(join(root, 'package-lock.json'), '{"lockfileVersion":3}')
  await task('console.log(process.argv.slice(2).join())')
})
afterEach(() => rm(root, { recursive: true, force: true, maxRetries: 10 }))

const task = (source: string): Promise<void> => writeFile(join(root, 'scripts/check.ts'), source)
const installs = async (): Promise<number> => (await readFile(join(root, 'npm-ran'), 'utf8').catch(() => '')).split('\n').length - 1

interface Ended {
  code: number | null
  output: string
}

function run(args: string[], env: Record<string, string> = {}): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(process.execPath, ['scripts/run.mjs', ...args], {
    cwd: root,
    env: { ...process.env, npm_execpath: join(root, 'npm.js'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }))
  return { child, ended }
}

describe('the entry script', () => {
  it('installs before the first task and passes its arguments on', async () => {
    const { code, output } = await run(['check', 'a', 'b']).ended
    expect([code, output.trim().split('\n').at(-1)]).toEqual([0, 'a,b'])
    expect(await installs()).toBe(1)
  })

  it('installs again only when the lock file changed', async () => {
    await run(['check']).ended
    await run(['check']).ended
    expect(await installs()).toBe(1)
    await writeFile(join(root, 'package-lock.json'), '{"lockfileVersion":3,"name":"changed"}')
    await run(['check']).ended
    expect(await installs()).toBe(2)
  })

  it('installs once when several start at once', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => run(['check']).ended))
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    expect(await installs()).toBe(1)
    expect(await readdir(join(root, '.cache'))).toEqual([])
  })

  it('takes the lock of a process that died while it installed, once', async () => {
    await mkdir(join(root, '.cache/install.lock'), { recursive: true })
    const dead = run(['no task'])
    await dead.ended
    await writeFile(join(root, '.cache/install.lock/owner'), JSON.stringify({ pids: [dead.child.pid], token: 'dead' }))
    const all = await Promise.all([run(['check']).ended, run(['check']).ended, run(['check']).ended])
    expect(all.map(({ code }) => code)).toEqual([0, 0, 0])
    expect(await installs()).toBe(1)
  })

  it('waits for an npm whose starter was killed, and installs again after it', async () => {
    // Ends when its standard input does, so the test decides how long it takes.
    const orphan = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'inherit'] })
    const dead = run(['no task'])
    await dead.ended
    await mkdir(join(root, '.cache/install.lock'), { recursive: true })
    await writeFile(join(root, '.cache/install.lock/owner'), JSON.stringify({ pids: [dead.child.pid, orphan.pid], token: 'dead' }))
    const waiting = run(['check'])
    const [said] = (await once(waiting.child.stdout!, 'data')) as [Buffer]
    expect(String(said)).toContain(`Process ${orphan.pid} is installing already`)
    expect(await installs()).toBe(0)
    orphan.stdin.end()
    expect((await waiting.ended).code).toBe(0)
    expect(await installs()).toBe(1)
  })

  it('says that the install failed and tries it again the next time', async () => {
    const failed = await run(['check'], { NPM_EXIT: '7' }).ended
    expect(failed.code).toBe(1)
    expect(failed.output).toContain('`npm ci` failed (exit 7)')
    expect(failed.output).not.toContain('    at ')
    expect((await run(['check']).ended).code).toBe(0)
    expect(await installs()).toBe(2)
  })

  it('ends with the exit code of its task', async () => {
    await task('process.exit(5)')
    expect((await run(['check']).ended).code).toBe(5)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)('passes %s on to its task and waits for it', async (signal) => {
    await task(`process.once('${signal}', () => process.exit(3)); setInterval(() => undefined, 1000); console.log('ready')`)
    const { child, ended } = run(['check'])
    for await (const chunk of child.stdout ?? []) if (String(chunk).includes('ready')) break
    child.kill(signal)
    expect((await ended).code).toBe(3)
  })

  it('names the tasks when it is given none of them', async () => {
    const { code, output } = await run(['constructor']).ended
    expect(code).toBe(1)
    expect(output).toContain('start|test|check')
    expect(await installs()).toBe(0)
  })
})
