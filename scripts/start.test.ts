/** `npm start` as its reader meets it: real processes, one data folder, one port, in the order in which a reader's days go by. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@sallyport/client'
import { browserFor } from '@sallyport/sandbox'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { main as askModel } from '../examples/models.ts'

const TIMEOUT = 120_000

let folder: string
let dataDir: string
let port: string
const alive = new Set<ChildProcess>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'start-test-'))
  dataDir = join(folder, 'made', 'by-the-start')
  port = String(await freePort())
})
afterEach(async () => {
  await Promise.all([...alive].map((child) => stop(child, 'SIGTERM')))
}, TIMEOUT)
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }))

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port: free } = server.address() as AddressInfo
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return free
}

interface Started {
  child: ChildProcess
  /** Everything printed so far, both streams. */
  output: () => string
  /** Resolves when the reader may start, or with the exit code when that never comes. */
  outcome: Promise<'ready' | number>
}

function start(environment: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'start.ts')], {
    env: { ...process.env, SALLYPORT_DATA_DIR: dataDir, SALLYPORT_PORT: port, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  alive.add(child)
  let output = ''
  const { promise: ready, resolve } = Promise.withResolvers<'ready'>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk)
      if (output.includes('Ctrl-C stops everything')) resolve('ready')
    })
  }
  const ended = once(child, 'close').then(([code]) => {
    alive.delete(child)
    return code as number
  })
  return { child, output: () => output, outcome: Promise.race([ready, ended]) }
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null) {
    child.kill(signal)
    await once(child, 'close')
  }
  return child.exitCode
}

interface Curl {
  url: string
  headers: Record<string, string>
}

/** The printed curl line, read as the shell would. */
function curlIn(output: string): Curl {
  const line = /^ *curl (.*)$/m.exec(output)?.[1] ?? ''
  const headers = [...line.matchAll(/-H '([^:']+): ([^']+)'/g)].map(([, name = '', value = '']) => [name, value])
  return { url: line.split(' ').at(-1) ?? '', headers: Object.fromEntries(headers) as Record<string, string> }
}

/** The words of the model, asked by the line that shows a streamed answer; or why there are none. */
async function askedModel(output: string): Promise<string> {
  const { key, body, url } = streamIn(output)
  const response = await fetch(url, { method: 'POST', headers: { authorization: key, 'content-type': 'application/json' }, body })
  if (!response.ok) return `${response.status} ${response.headers.get('sallyport-error-code')}`
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  return [...(await response.text()).matchAll(/"content":"([^"]*)"/g)].map(([, word]) => word).join('')
}

/** Asks with the example of an application. Gives its exit code and what it printed. */
async function askedByExample(output: string): Promise<readonly [number, string]> {
  const { key, url } = streamIn(output)
  const words: string[] = []
  const gateway = { url: new URL(url).origin, key: key.replace('Bearer ', '') }
  const code = await askModel(gateway, { model: 'sandbox/sandbox-large', user: 'ann', text: 'count to 9' }, (more) => void words.push(more))
  return [code, words.join('')]
}

/** Sets the budget that README says to try, which the printed line may go beyond. Gives what takes it away. */
async function setBudget(output: string): Promise<() => Promise<void>> {
  const { origin = '', token = '' } = /(?<origin>http:\/\/\S+)\/console\/#owner=(?<token>\S+)/.exec(output)?.groups ?? {}
  const client = createClient({ baseUrl: origin, fetch: browserFor(origin) })
  await client.call('sessionCreate', { body: { owner_token: token } })
  const org = (await client.call('whoami')).memberships[0]?.org ?? ''
  const { id: budget } = await client.call('budgetCreate', { params: { org }, body: { amount_usd: '0.01' } })
  return () => client.call('budgetDelete', { params: { org, budget } })
}

/** The printed line that shows a streamed answer. */
function streamIn(output: string): { key: string; body: string; url: string } {
  const {
    key = '',
    body = '',
    url = '',
  } = /^ *curl -N -H 'Authorization: (?<key>[^']+)' .* -d '(?<body>[^']+)' (?<url>\S+)$/m.exec(output)?.groups ?? {}
  return { key, body, url }
}

async function call({ url, headers }: Curl): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url, { headers })
  return { status: response.status, body: await response.json() }
}

/** Starts again, expects the same call to work, and stops. */
async function expectStillWorking(curl: Curl): Promise<void> {
  const again = start()
  expect(await again.outcome, again.output()).toBe('ready')
  expect(curlIn(again.output())).toEqual(curl)
  expect((await call(curl)).status).toBe(200)
  expect(await stop(again.child, 'SIGINT')).toBe(0)
}

describe('npm start', () => {
  let first: Curl

  it(
    'prints curl lines that work as pasted, one of them a stream, and ends with 0 on Ctrl-C with nothing left behind',
    { timeout: TIMEOUT },
    async () => {
      const { child, output, outcome } = start()
      expect(await outcome, output()).toBe('ready')
      expect(output()).toMatch(new RegExp(`http://127\\.0\\.0\\.1:${port}/console/#owner=\\S+`))
      first = curlIn(output())
      const { status, body } = await call(first)
      expect(status).toBe(200)
      const owners = (body as { owner: { login: string } }[]).map(({ owner }) => owner.login)
      expect(owners).toEqual(Array.from({ length: 30 }, () => 'octo-sandbox'))
      expect(await askedModel(output())).toBe('1 2 3 4 5 6 7 8 9')
      expect(await askedByExample(output())).toEqual([0, '1 2 3 4 5 6 7 8 9'])
      const takeAway = await setBudget(output())
      await expect.poll(() => askedModel(output())).toBe('402 budget_exceeded')
      expect(await askedByExample(output())).toEqual([2, expect.stringContaining('budget')])
      await takeAway()
      expect((await stat(join(dataDir, 'start.json'))).mode & 0o777).toBe(0o600)

      expect(await stop(child, 'SIGINT')).toBe(0)
      expect(output()).not.toContain('by itself')
      await expect(fetch(first.url)).rejects.toThrow('fetch failed')
      expect(await readdir(dataDir)).not.toContain('gateway.pid')
    },
  )

  it('finds its data again, and refuses a second start without harming the first', { timeout: TIMEOUT }, async () => {
    const again = start()
    expect(await again.outcome, again.output()).toBe('ready')
    expect(curlIn(again.output())).toEqual(first)
    expect(again.output()).not.toContain('keeping a key')
    expect(await askedModel(again.output())).toBe('1 2 3 4 5 6 7 8 9')

    const samePort = start()
    expect(await samePort.outcome).toBe(4)
    expect(samePort.output().match(/is in use/g)).toHaveLength(1)
    const sameFolder = start({ SALLYPORT_PORT: String(await freePort()) })
    expect(await sameFolder.outcome).toBe(4)
    expect(sameFolder.output().match(/is in use/g)).toHaveLength(1)

    expect((await call(first)).status).toBe(200)
    expect(await stop(again.child, 'SIGTERM')).toBe(0)
  })

  it('repairs a connection that the sandbox no longer knows, under the same id', { timeout: TIMEOUT }, async () => {
    await rm(join(dataDir, 'start.sandbox.json'))
    await expectStillWorking(first)
  })

  it('makes a new key when the file of the last start is gone or broken', { timeout: TIMEOUT }, async () => {
    await writeFile(join(dataDir, 'start.json'), '{"key":')
    const again = start()
    expect(await again.outcome, again.output()).toBe('ready')
    const made = curlIn(again.output())
    expect(made.headers.Authorization).not.toBe(first.headers.Authorization)
    expect(made.headers['Sallyport-Connection']).toBe(first.headers['Sallyport-Connection'])
    expect((await call(made)).status).toBe(200)
    first = made
    expect(await stop(again.child, 'SIGINT')).toBe(0)
  })

  it.each([
    ['a folder that cannot be made', { SALLYPORT_DATA_DIR: '/dev/null/x' }, '/dev/null/x'],
    ['a folder under a file system that takes none', { SALLYPORT_DATA_DIR: '/proc/x' }, '/proc/x'],
    ['production mode', { SALLYPORT_MODE: 'production' }, 'SALLYPORT_MODE'],
    ['a configuration of the reader', { SALLYPORT_CONFIG: '/tmp/mine.yaml' }, 'SALLYPORT_CONFIG'],
  ])('refuses %s in one sentence', { timeout: TIMEOUT }, async (_what, environment, named) => {
    const refused = start(environment)
    expect(await refused.outcome).toBe(4)
    expect(refused.output()).toContain(named)
    expect(refused.output().trim().split('\n')).toHaveLength(1)
  })

  it('refuses another root key and leaves everything as it was', { timeout: TIMEOUT }, async () => {
    const other = start({ SALLYPORT_ENCRYPTION_KEYS: `other:${'0123456789abcdef'.repeat(4)}` })
    expect(await other.outcome).not.toBe(0)
    expect(other.output()).not.toContain('    at ')
    await expectStillWorking(first)
  })

  it('refuses a data folder that is damaged and destroys nothing in it', { timeout: TIMEOUT }, async () => {
    const version = join(dataDir, 'postgres', 'PG_VERSION')
    await rename(version, `${version}.away`)
    const before = await readdir(join(dataDir, 'postgres'))
    const damaged = start()
    expect(await damaged.outcome).toBe(4)
    expect(damaged.output()).not.toContain('    at ')
    expect(await readdir(join(dataDir, 'postgres'))).toEqual(before)
    await rename(`${version}.away`, version)
    await expectStillWorking(first)
  })

  it('writes neither tokens nor client secrets of the sandbox into its files', async () => {
    const files = (await readdir(dataDir)).filter((name) => name.startsWith('start.'))
    expect(files.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'start.config.yaml',
      'start.json',
      'start.prices.json',
      'start.sandbox.json',
    ])
    for (const file of files) expect(await readFile(join(dataDir, file), 'utf8')).not.toMatch(/gho_|google_refresh_|not-a-secret/)
  })
})
