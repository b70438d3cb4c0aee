/**
 * Marked secrets of every kind go through a program on the SDK, successes and failures alike, while its log function and listeners misbehave;
 * afterwards no sink holds one, in no spelling: not the log, a failure, a metric, a trace, an event, a report, a crash, the heap or Redis.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestRedis } from '../../../testkit/src/servers/index.ts'
import { Sallyport } from '../../src/index.ts'
import { REDIRECT_URI, recordAt } from './ground.ts'
import { needlesIn } from './needles.ts'

const SINKS = ['log', 'events', 'failures', 'spans', 'report', 'metrics', 'health'] as const
/** Every secret that existed, by what it was. */
const planted = new Map<string, string>()
let folder: string
let provider: Awaited<ReturnType<typeof startProvider>>
let redis: Awaited<ReturnType<typeof startTestRedis>>
let watching: Redis
/** Every command that Redis was sent. */
const commands: string[] = []
let quiet: { readonly code: number | null; readonly output: string }
let crashed: typeof quiet

const canary = (what: string): string => {
  const secret = `canary${randomBytes(24).toString('hex')}`
  planted.set(`${what} ${planted.size}`, secret)
  return secret
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-canaries-'))
  provider = await startProvider()
  redis = await startTestRedis(['--rdbcompression', 'no'])
  const connection = new Redis(redis.url)
  watching = await connection.monitor()
  connection.disconnect()
  watching.on('monitor', (_time: string, args: string[]) => commands.push(args.join(' ')))
  quiet = await run('quiet')
  crashed = await run('crash')
})
afterAll(async () => {
  watching.disconnect()
  await provider.close()
  await redis.stop()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
})

async function run(ending: string): Promise<typeof quiet> {
  const key = randomBytes(32).toString('hex')
  planted.set(`encryption key of ${ending}`, key)
  const config = {
    mode: 'development',
    tokenStore: { backend: 'redis', url: redis.url, encryption: { key, algorithm: 'aes-256-gcm' } },
    connectors: [recordAt(provider.origin)],
    providers: { strict: { clientId: 'an-id', clientSecret: canary('client secret'), redirectUri: REDIRECT_URI } },
    insecureAllowOrigins: [provider.origin],
    http: { retry: { maxRetries: 0 }, timeout: 1_000 },
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  await writeFile(join(folder, 'control.json'), JSON.stringify({ port: provider.controlPort }))
  const program = join(import.meta.dirname, 'canary-process.ts')
  // By default a snapshot cuts texts after 1,024 characters.
  const options = ['--heap-snapshot-string-limit=10000000']
  const child = spawn(process.execPath, [...options, program, folder, ending], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  // Keys of one run can't open what the other left.
  const cleaning = new Redis(redis.url)
  if (ending === 'quiet') await cleaning.save()
  const [, dir] = (await cleaning.config('GET', 'dir')) as [string, string]
  if (ending === 'quiet') await writeFile(join(folder, 'redis.rdb'), await readFile(join(dir, 'dump.rdb')))
  await cleaning.flushall()
  cleaning.disconnect()
  return { code, output }
}

/** A provider whose every secret is a canary, and which gives them back wherever it can. */
async function startProvider() {
  let how = 'lawful'
  const server = createServer((request, response) => void serve(request, response, origin, how))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const control = createServer((request, response) => {
    how = request.url!.slice(1)
    response.end()
  })
  await new Promise<void>((resolve) => control.listen(0, '127.0.0.1', resolve))
  return {
    origin,
    controlPort: (control.address() as AddressInfo).port,
    close: async () => {
      for (const one of [server, control]) {
        one.closeAllConnections()
        await new Promise((resolve) => one.close(resolve))
      }
    },
  }
}

async function serve(request: IncomingMessage, response: ServerResponse, origin: string, how: string): Promise<void> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString('utf8')
  const url = new URL(request.url!, origin)
  if (url.pathname === '/auth') return authorize(url.searchParams, response, origin)
  if (url.pathname === '/token') return token(body, request, response, how)
  if (url.pathname === '/token/revocation') return void response.writeHead(how === 'revocation-503' ? 503 : 200).end(body)
  if (url.pathname === '/me' && how === 'userinfo-reset') return void request.socket.resetAndDestroy()
  if (url.pathname === '/me')
    return json(response, how === 'userinfo-401' ? 401 : 200, { sub: 'grace', email: null, echo: request.headers.authorization })
  api(url.pathname.slice(1), request, response)
}

function authorize(asked: URLSearchParams, response: ServerResponse, origin: string): void {
  planted.set(`state ${planted.size}`, asked.get('state')!)
  const back = new URL(asked.get('redirect_uri')!)
  back.search = new URLSearchParams({ code: canary('code'), state: asked.get('state')!, iss: origin }).toString()
  response.writeHead(302, { location: back.href }).end()
}

function token(body: string, request: IncomingMessage, response: ServerResponse, how: string): void {
  const form = new URLSearchParams(body)
  if (form.has('code_verifier')) planted.set(`verifier ${planted.size}`, form.get('code_verifier')!)
  const echo = `${body} ${request.headers.authorization}`
  if (how === 'token-reset') return void request.socket.resetAndDestroy()
  if (how === 'token-500') return json(response, 500, { error: 'server_error', error_description: echo })
  if (how === 'token-429') return json(response, 429, { error: 'slow_down', error_description: echo })
  if (how === 'token-refused') return json(response, 400, { error: 'invalid_grant', error_description: echo })
  if (how === 'token-html') return void response.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${echo}</h1>`)
  const given = JSON.stringify({
    access_token: canary('access token'),
    refresh_token: canary('refresh token'),
    token_type: 'bearer',
    expires_in: 3600,
    scope: 'openid email offline_access',
    extra_secret: canary('another member'),
  })
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(given) })
  if (how === 'token-cut') response.write(given.slice(0, -20), () => request.socket.resetAndDestroy())
  else response.end(given)
}

function api(how: string, request: IncomingMessage, response: ServerResponse): void {
  const echo = request.headers.authorization!
  const acts: Readonly<Record<string, () => void>> = {
    echo: () => json(response, 200, { echo }, { 'x-echo': echo }),
    error: () => json(response, 500, { error: echo }, { 'x-echo': echo }),
    refused: () => json(response, 401, { error: echo }, { 'www-authenticate': `Bearer error="${echo}"` }),
    garbage: () => void request.socket.end(`${echo}\r\n\r\n`),
    cut: () => void response.writeHead(200, { 'content-length': '9999' }).write(echo, () => request.socket.destroy()),
    reset: () => void request.socket.resetAndDestroy(),
    hang: () => undefined,
  }
  acts[how]!()
}

function json(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** The spellings in which a secret might come out, by the beginning or the end: as it is, in hex, in Base64 at each alignment. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8')
  const base64 = [0, 1, 2].flatMap((shift) => {
    // What stands before it decides the first characters, so they are left out.
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .slice(4, 24)
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')]
  })
  const hex = bytes.toString('hex')
  // All of them are made of letters, digits, - and _, which no spelling of a URL changes.
  return [...new Set([secret.slice(0, 20), secret.slice(-20), hex, hex.toUpperCase(), ...base64])]
}

function found(text: string | Uint8Array): string[] {
  const all = new Map([...planted].flatMap(([what, secret]) => spellings(secret).map((spelling) => [spelling, what] as const)))
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text
  return needlesIn(bytes, [...all.keys()]).map((spelling) => all.get(spelling)!)
}

describe('N15 marked secrets in a program on the SDK', () => {
  it('are many, and of every kind', () => {
    expect([quiet.code, quiet.output.includes('a log function that fails')]).toEqual([0, false])
    const kinds = new Set([...planted.keys()].map((what) => what.replace(/ \d+$/u, '')))
    for (const kind of ['access token', 'refresh token', 'client secret', 'verifier', 'state', 'code', 'another member'])
      expect(kinds).toContain(kind)
    expect(planted.size).toBeGreaterThanOrEqual(50)
    for (const [what, secret] of planted) {
      expect(secret.length, what).toBeGreaterThanOrEqual(32)
      expect(secret, what).toMatch(/^[\w-]+$/u)
    }
  })

  it('are found in each spelling by the search that finds none', () => {
    const [what, secret] = [...planted].at(-1)!
    const hidden = [
      `x${secret}y`,
      Buffer.from(`id:${secret}`).toString('base64'),
      Buffer.from(`Bearer ${secret}`).toString('base64url'),
      Buffer.from(secret).toString('hex'),
    ]
    for (const text of hidden) expect(found(text)).toContain(what)
  })

  it.each(SINKS)('L-02 L-03 stand in no %s', async (sink) => {
    const text = await readFile(join(folder, `${sink}.txt`), 'utf8')
    expect(text.length).toBeGreaterThan(300)
    expect(found(text)).toEqual([])
  })

  it('stand in nothing that was printed, though the log function failed: its lines went to the error stream', () => {
    expect(quiet.output).toContain('"level":')
    expect(found(quiet.output)).toEqual([])
  })

  it('stand in no crash', () => {
    expect(crashed.code).not.toBe(0)
    expect(crashed.output).toContain('SallyportError')
    expect(found(crashed.output)).toEqual([])
  })

  it('L-12 stand nowhere in the heap after disconnect and close', async () => {
    const heap = await readFile(join(folder, 'heap.heapsnapshot'))
    // The search must be able to find something.
    expect(heap.includes('held on purpose true')).toBe(true)
    expect(found(heap)).toEqual([])
  })

  it('L-10 stand in nothing that Redis was sent or has written to its file', async () => {
    expect(commands.length).toBeGreaterThan(100)
    expect(found(commands.join('\n'))).toEqual([])
    expect(found(await readFile(join(folder, 'redis.rdb')))).toEqual([])
  })

  it('L-04 and the state of a connection was not changed by a listener that changes what it gets', async () => {
    expect(await readFile(join(folder, 'failures.txt'), 'utf8')).not.toContain('A LISTENER HAS CHANGED')
  })
})

describe('a listener that changes what it gets', () => {
  it('L-04 changes neither what is kept in memory, nor what the caller and the next listener get', async () => {
    const sallyport = await Sallyport.init({
      mode: 'development',
      tokenStore: { backend: 'memory' },
      connectors: [recordAt(provider.origin)],
      providers: { strict: { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI } },
      insecureAllowOrigins: [provider.origin],
      logging: { level: 'silent' },
    })
    const next: (readonly string[])[] = []
    sallyport.on('connected', ({ scopes }) => void (scopes as string[]).push('spoiled'))
    sallyport.on('connected', ({ scopes }) => void next.push(scopes))
    const of = { provider: 'strict', userId: 'ada' }
    const { url } = await sallyport.connect(of)
    const sent = await fetch(url, { redirect: 'manual' })
    const { scopes } = await sallyport.handleCallback(sent.headers.get('location')!, { userId: of.userId })
    const kept = (await sallyport.getConnectionHealth(of))!.scopes
    for (const list of [scopes, kept, ...next]) expect(list).not.toContain('spoiled')
    ;(kept as string[]).push('spoiled')
    expect((await sallyport.getConnectionHealth(of))!.scopes).not.toContain('spoiled')
    await sallyport.close()
  })
})
