import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectAccount, createKey, freePort, setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { submitFirstForm } from '@sallyport/sandbox'

/**
 * Marked secrets go through everything that can be done with them, at the most talkative log level, the failures included; afterwards
 * no sink may hold one: not what was printed, not an answer, not a file of the data folder, the database's own and its log ahead included.
 */
const folders: string[] = []
let stage: Stage
let metricsPort: number
/** Every secret that existed, by what it was. */
const planted = new Map<string, string>()
const answers: string[] = []

/** The parts of a secret that must not stand anywhere: whole, and every long enough piece of it. */
const piecesOf = (secret: string): string[] => [secret, secret.slice(0, 16), secret.slice(-16)]

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-canary-'))
  folders.push(folder)
  metricsPort = await freePort()
  const variables = { SALLYPORT_LOG_LEVEL: 'debug', SALLYPORT_LOG_FORMAT: 'json', SALLYPORT_METRICS_PORT: String(metricsPort) }
  stage = await setStage({ dataDir: join(folder, 'data'), variables })
})
afterAll(async () => {
  await stage.close()
  await Promise.all(folders.map((path) => rm(path, { recursive: true, force: true, maxRetries: 10 })))
})

async function keep(response: Response): Promise<void> {
  answers.push(JSON.stringify([...response.headers]) + (await response.text().catch(() => '')))
}

/** What a key's owner keeps: not the public id in the middle of it. */
const secretPartOf = (key: string): string => key.split('_')[3]!

async function useEverything(): Promise<void> {
  const { owner, issuer, upstream } = stage
  const { client, place } = owner
  planted.set('the key', secretPartOf(stage.key))
  planted.set('the client secret', issuer.clientSecret)
  const revealing = `canary-${randomBytes(16).toString('hex')}`
  planted.set('a body that went through', revealing)
  upstream.answer((request, response) => void request.on('end', () => response.end(`${revealing} ${request.headers.authorization}`)))
  await keep(
    await stage.call(`/search?q=${revealing}`, { method: 'POST', body: revealing, headers: callHeaders({ 'x-custom': revealing }) }),
  )
  // Answers that were the caller's to have are not sinks; what the gateway adds to them is.
  answers.length = 0
  for (const behaviour of ['html', 'error_page', 'error_in_success', 'invalid_client', 'reset', 'truncated'] as const) {
    issuer.behave({ token: behaviour })
    await connectAccount(owner, 'user-canary').catch((error: unknown) => answers.push(String(error)))
  }
  issuer.behave()
  await connectAccount(owner, 'user-canary')
  const key = await createKey(owner, ['proxy:call', 'connections:read'])
  planted.set('another key', secretPartOf(key))
  await keep(await fetch(`${stage.gateway.url}/proxy/api/x?key=${key}`, { headers: callHeaders() }))
  await keep(await fetch(`${stage.gateway.url}/proxy/api/x`, { headers: { authorization: `Basic ${btoa(`${key}:`)}` } }))
  await keep(await fetch(`${stage.gateway.url}/api/v1/whoami`, { headers: { cookie: `key=${key}`, 'x-api-key': key } }))
  await keep(
    await fetch(`${stage.gateway.url}/api/v1/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"owner_token":"${revealing}"`,
    }),
  )
  for (const act of ['reset', 'garbage', 'cut'] as const) {
    upstream.answer((request, response) => {
      if (act === 'reset') request.socket.resetAndDestroy()
      else if (act === 'garbage') request.socket.end(`${request.headers.authorization}\r\n\r\n`)
      else response.writeHead(200, { 'content-length': '99' }).write('x', () => request.socket.destroy())
    })
    await keep(await stage.call('/fails').catch((error: unknown) => new Response(String(error))))
  }
  const { session, link } = await client.call('connectSessionCreate', {
    params: place,
    body: { integration: 'api', end_user_id: 'denied' },
  })
  planted.set('a connect link', new URL(link).pathname.split('/').at(-1)!)
  issuer.behave({ answer: { error: 'access_denied', description: `<b>${revealing}</b>` } })
  const authorization = await submitFirstForm(owner.browser, link)
  planted.set('a state', new URL(authorization).searchParams.get('state')!)
  const back = (await fetch(authorization, { redirect: 'manual' })).headers.get('location')!
  await keep(await owner.browser(back))
  answers.push(JSON.stringify(await client.call('connectSessionGet', { params: { ...place, session: session.id } })))
  for (const list of ['keyList', 'integrationList', 'connectionList', 'requestList'] as const) {
    answers.push(JSON.stringify(await client.call(list, { params: place, query: { limit: 200 } })))
  }
  answers.push(JSON.stringify(await client.call('auditEventList', { params: { org: place.org }, query: { limit: 200 } })))
  await keep(await fetch(`http://127.0.0.1:${metricsPort}/metrics`))
  for (const [i, token] of issuer.tokens.entries()) planted.set(`token ${i}`, token)
  for (const [i, exchange] of issuer.exchanges.entries()) {
    planted.set(`verifier ${i}`, exchange.get('code_verifier')!)
    planted.set(`code ${i}`, exchange.get('code')!)
  }
  planted.set('the starter’s token', stage.gateway.starterToken)
  planted.set('the owner link', new URL(stage.gateway.ownerLink).hash.slice('#owner='.length))
}

const callHeaders = (more: Record<string, string> = {}): Record<string, string> => ({
  authorization: `Bearer ${stage.key}`,
  'sallyport-connection': stage.connection,
  ...more,
})

async function filesBelow(folder: string): Promise<{ path: string; text: string }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name !== 'gateway.lock')
  return Promise.all(
    files.map(async (entry) => ({
      path: join(entry.parentPath, entry.name),
      text: await readFile(join(entry.parentPath, entry.name), 'latin1'),
    })),
  )
}

describe('N15 marked secrets', () => {
  beforeAll(useEverything)

  it('are many, and of every kind', () => {
    expect(planted.size).toBeGreaterThanOrEqual(20)
    for (const [what, secret] of planted) expect(secret.length, what).toBeGreaterThanOrEqual(20)
  })

  it('L-03 stand in nothing that was printed at level debug, not even in part', () => {
    const printed = stage.gateway.output()
    expect(printed.length).toBeGreaterThan(1_000)
    for (const [what, secret] of planted) for (const piece of piecesOf(secret)) expect(printed.includes(piece), what).toBe(false)
  })

  it('L-05 stand in no error, list, audit event or record', () => {
    const said = answers.join('\n')
    expect(said.length).toBeGreaterThan(1_000)
    for (const [what, secret] of planted) expect(said.includes(secret), what).toBe(false)
  })

  it('L-08 stand in no file of the data folder, the log ahead included', async () => {
    await stage.gateway.stop()
    const files = await filesBelow(stage.gateway.dataDir)
    expect(files.some(({ path }) => path.includes('pg_wal'))).toBe(true)
    // The search itself must be able to find something: the end user's id is no secret and is there.
    expect(files.some(({ text }) => text.includes('user-canary'))).toBe(true)
    for (const { path, text } of files)
      for (const [what, secret] of planted) expect(text.includes(secret), `${what} in ${path}`).toBe(false)
  })
})
