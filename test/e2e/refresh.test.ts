/** Refreshing in real gateways: two nodes on one database, an issuer that counts, an API that says which token it was given. */
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { problemSchema } from '@sallyport/contract'
import type { Problem } from '@sallyport/contract'
import { parseId, sha256 } from '@sallyport/core'
import {
  CALM,
  clientSecretOf,
  createKey,
  signInOwner,
  startGatewayProcess,
  startHostileIssuer,
  startUpstream,
  startWire,
} from '@sallyport/testkit'
import type { GatewayProcess, IssuedGrant, IssuerClientSettings, IssuerControl, Owner, Upstream, Wire } from '@sallyport/testkit'

const ROOT_KEYS = `test:${randomBytes(32).toString('hex')}`
/** Clients at the issuer, by the slugs of their integrations: one turns refresh tokens, strictly, the other never does. */
const TURNING = { slug: 'turning', provider: 'github', client: 'turning-client' } as const
const LASTING = { slug: 'lasting', provider: 'google', client: 'lasting-client' } as const
type Kind = typeof TURNING | typeof LASTING

/** As the issuer spells its tokens. */
const TOKEN = /\b(?:rt|at)\.g\d+-\w+\./u

interface Node {
  readonly gateway: GatewayProcess
  /** Between this node and the database. */
  readonly wire: Wire
}

let issuer: IssuerControl
let upstream: Upstream
let nodes: Node[]
let database: Readonly<Record<string, string>>
let owner: Owner
let key: string
/** How the API answers a token, told by its digest: the gateway masks a token that comes back. */
let judge: (token: string) => number = () => 200
const digest = (token: string): string => sha256(token).toString('hex')

beforeAll(async () => {
  ;[issuer, upstream] = await Promise.all([startHostileIssuer('refresh-in-gateways'), startUpstream()])
  await behave(TURNING)
  await behave(LASTING)
  upstream.answer((request, response) => {
    const token = digest(request.headers.authorization?.replace('Bearer ', '') ?? '')
    response.writeHead(judge(token), { 'content-type': 'text/plain' }).end(token)
  })
  // Makes the database and its login; the nodes then reach it over their wires.
  const first = await startGatewayProcess({ postgresUrl: inject('postgresUrl'), variables: { SALLYPORT_ENCRYPTION_KEYS: ROOT_KEYS } })
  database = first.database
  await first.stop()
  nodes = await Promise.all([startNode('a'), startNode('b')])
  owner = await signInOwner(nodes[0]!.gateway)
  for (const { slug, provider, client } of [TURNING, LASTING]) {
    const body = { slug, provider, client_id: client, client_secret: clientSecretOf(client) }
    await owner.client.call('integrationCreate', { params: owner.place, body })
  }
  key = await createKey(owner, ['proxy:call', 'connect_sessions:write', 'connections:read', 'connections:write'])
})

afterAll(async () => {
  for (const node of nodes ?? []) {
    node.wire.mend()
    await node.gateway.stop()
    await node.wire.close()
  }
  await Promise.all([issuer.close(), upstream.close()])
})

const behave = (kind: Kind, over: Partial<IssuerClientSettings> = {}) =>
  issuer.setClient(kind.client, { ...CALM, profile: { kind: kind === TURNING ? 'strict' : 'none' }, ...over })

async function startNode(name: string): Promise<Node> {
  const app = new URL(database['SALLYPORT_DATABASE_URL']!)
  const wire = await startWire({ host: app.hostname, port: Number(app.port) })
  app.hostname = '127.0.0.1'
  app.port = String(wire.port)
  const endpoints = {
    authorizationEndpoint: `${issuer.origin}/authorize`,
    tokenEndpoint: `${issuer.origin}/at/${name}/token`,
    userinfoEndpoint: `${issuer.origin}/user`,
    apiBase: upstream.origin,
  }
  const gateway = await startGatewayProcess({
    database: { ...database, SALLYPORT_DATABASE_URL: app.href },
    variables: { SALLYPORT_ENCRYPTION_KEYS: ROOT_KEYS, SALLYPORT_LOG_LEVEL: 'debug' },
    file: {
      egress: { insecureAllowOrigins: [issuer.origin, upstream.origin] },
      providers: { github: endpoints, google: endpoints },
    },
  })
  return { gateway, wire }
}

interface Imported {
  readonly id: string
  readonly slug: string
  readonly grant: IssuedGrant
  /** Of its first access token. */
  readonly first: string
}

/** A connection whose access token has `lifeMs` left, of the hour that it had. */
async function imported(lifeMs: number, { slug, client }: Kind = TURNING): Promise<Imported> {
  const grant = await issuer.grant(client)
  const { id } = await owner.client.call('connectionImport', {
    params: owner.place,
    body: {
      integration: slug,
      end_user_id: `user-${randomBytes(6).toString('hex')}`,
      access_token: grant.accessToken,
      refresh_token: grant.refreshToken,
      expires_at: new Date(Date.now() + lifeMs).toISOString(),
      account: { id: grant.grant },
    },
  })
  await aged(id)
  return { id, slug, grant, first: digest(grant.accessToken) }
}

/** As if its version had been obtained an hour ago: rows are insert-only, so the trigger stands aside for it. */
async function aged(connection: string): Promise<void> {
  const client = new Client({ connectionString: database['SALLYPORT_DATABASE_MIGRATION_URL']! })
  await client.connect()
  try {
    await client.query("set session_replication_role = 'replica'")
    await client.query("update sallyport.credential_version set obtained_at = obtained_at - interval '1 hour' where connection_id = $1", [
      parseId('conn', connection),
    ])
    await client.query('set session_replication_role = default')
    await client.query('update sallyport.connection set updated_at = now() where id = $1', [parseId('conn', connection)])
  } finally {
    await client.end()
  }
}

function call({ id, slug }: Imported, at = 0, over: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
  return fetch(`${nodes[at]!.gateway.url}/proxy/${slug}/user`, {
    headers: { authorization: `Bearer ${key}`, 'sallyport-connection': id, ...over },
    ...(signal === undefined ? {} : { signal }),
  })
}

/** The digest of the token that a call goes out with. */
async function tokenOf(connection: Imported, at = 0): Promise<string> {
  const response = await call(connection, at)
  const body = await response.text()
  expect(response.status, body).toBe(200)
  return body
}

async function problemOf(response: Response): Promise<Problem> {
  return problemSchema.parse(await response.json())
}

const showings = async ({ grant }: Imported) => (await issuer.journal()).showings.filter((one) => one.grant === grant.grant)
const view = (connection: string) => owner.client.call('connectionGet', { params: { ...owner.place, connection } })

async function eventsOf(connection: string): Promise<string[]> {
  const { data } = await owner.client.call('auditEventList', { params: { org: owner.place.org }, query: { limit: 200 } })
  return data.filter(({ target }) => target === connection).map(({ action }) => action)
}

describe('a dead token', () => {
  it('F-06 F-08 is renewed by one token call, however many callers wait at both nodes', async () => {
    await behave(TURNING, { latencyMs: { before: [200, 200], after: [100, 100] } })
    const connection = await imported(-1_000)
    // As many as the shares of an organization allow side by side; the rest would be refused for that.
    const callers = Array.from({ length: 40 }, (_, i) => tokenOf(connection, i % 2))
    const tokens = new Set(await Promise.all(callers))
    await behave(TURNING)
    expect(tokens.size).toBe(1)
    expect(tokens.has(connection.first)).toBe(false)
    expect(await showings(connection)).toMatchObject([{ outcome: 'rotated', token: 0 }])
    expect(await view(connection.id)).toMatchObject({ health: 'active', failure: null, generation: 1 })
  })

  it('F-28 is renewed and saved although its caller has gone', async () => {
    await behave(TURNING, { latencyMs: { before: [0, 0], after: [300, 300] } })
    const connection = await imported(-1_000)
    const leaving = new AbortController()
    const gone = call(connection, 0, {}, leaving.signal)
    await expect.poll(async () => (await showings(connection)).length).toBe(1)
    leaving.abort()
    await expect(gone).rejects.toThrow()
    await behave(TURNING)
    await expect.poll(async () => (await view(connection.id)).health).toBe('active')
    await tokenOf(connection, 1)
    expect(await showings(connection)).toHaveLength(1)
  })
})

describe('a token that is due', () => {
  it('goes out at once, and its successor takes its place on both nodes', async () => {
    const connection = await imported(120_000)
    expect(await tokenOf(connection)).toBe(connection.first)
    await expect.poll(() => showings(connection)).toHaveLength(1)
    await expect.poll(() => tokenOf(connection, 0)).not.toBe(connection.first)
    await expect.poll(() => tokenOf(connection, 1)).not.toBe(connection.first)
    expect(await tokenOf(connection, 0)).toBe(await tokenOf(connection, 1))
    expect(await showings(connection)).toHaveLength(1)
  })

  it('F-11 goes out while the database is gone, and nothing is shown to the provider', async () => {
    const connection = await imported(120_000)
    const node = nodes[1]!
    const before = await showings(connection)
    await tokenOf(connection, 1)
    node.wire.cut()
    try {
      expect((await call(connection, 1)).status).toBe(200)
      expect((await fetch(`${node.gateway.url}/readyz`)).status).toBe(503)
    } finally {
      node.wire.mend()
    }
    expect((await showings(connection)).length - before.length).toBeLessThanOrEqual(1)
  })
})

describe('a token that the provider refuses', () => {
  it('passes the 401 through, and begins one renewal for it', async () => {
    const connection = await imported(3_000_000)
    judge = (token) => (token === connection.first ? 401 : 200)
    try {
      const answers = await Promise.all(Array.from({ length: 10 }, () => call(connection)))
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 401))
      expect(answers[0]!.headers.get('sallyport-error-source')).toBe('provider')
      await expect.poll(async () => (await call(connection)).status).toBe(200)
      expect(await showings(connection)).toHaveLength(1)
    } finally {
      judge = () => 200
    }
  })
})

describe('a renewal that fails', () => {
  it('F-15 says that the grant was taken back, once in the log, and gives the way to a new one; the connection keeps its id', async () => {
    const connection = await imported(-1_000)
    await issuer.revoke(connection.grant.grant)
    const refused = await Promise.all(Array.from({ length: 6 }, (_, i) => call(connection, i % 2)))
    for (const response of refused) {
      expect(response.status).toBe(409)
      expect(response.headers.get('sallyport-error-source')).toBe('gateway')
    }
    const problem = await problemOf(refused[0]!)
    expect(problem).toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired', connection: connection.id })
    expect(problem.reconnect?.link).toContain('/connect/')
    expect(await showings(connection)).toHaveLength(1)
    expect(await view(connection.id)).toMatchObject({
      status: 'reconnect_required',
      health: 'reconnect_required',
      failure: { code: 'reconnect_required', trouble: 'grant_expired', attempts: 1, retry_at: null },
    })
    expect((await eventsOf(connection.id)).filter((action) => action === 'connection.reconnect_required')).toHaveLength(1)
    const links = await Promise.all([problemOf(await call(connection)), problemOf(await call(connection))])
    expect(new Set([problem, ...links].map(({ reconnect }) => reconnect?.link)).size).toBe(1)
  })

  it('names the place to make a link where the key may not make one itself', async () => {
    const connection = await imported(-1_000)
    await issuer.revoke(connection.grant.grant)
    const plain = await createKey(owner, ['proxy:call'])
    const problem = await problemOf(await call(connection, 0, { authorization: `Bearer ${plain}` }))
    expect(problem.reconnect).toEqual({
      endpoint: expect.stringMatching(/^\/api\/v1\/orgs\/org_\w+\/projects\/proj_\w+\/test\/connect-sessions$/u) as string,
    })
  })

  it('F-17 waits as long as the provider says, and works again by itself', async () => {
    const connection = await imported(-1_000)
    await issuer.next(TURNING.client, ['before_429'])
    const response = await call(connection)
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await problemOf(response)).toMatchObject({ code: 'provider_rate_limited', trouble: 'rate_limited' })
    expect(await view(connection.id)).toMatchObject({
      status: 'active',
      health: 'degraded',
      failure: { trouble: 'rate_limited', attempts: 1 },
    })
    await expect.poll(async () => (await call(connection)).status, { timeout: 20_000, interval: 500 }).toBe(200)
    expect(await view(connection.id)).toMatchObject({ health: 'active', failure: null })
    expect(await showings(connection)).toHaveLength(2)
    await expect.poll(() => eventsOf(connection.id)).toEqual(expect.arrayContaining(['connection.refresh_failed', 'connection.recovered']))
  })
})

describe('by hand', () => {
  it('POST refresh renews a token with life in it, and says who asked', async () => {
    const connection = await imported(3_000_000)
    const renewed = await owner.client.call('connectionRefresh', { params: { ...owner.place, connection: connection.id } })
    expect(renewed).toMatchObject({ health: 'active', failure: null })
    expect(await tokenOf(connection)).not.toBe(connection.first)
    await expect
      .poll(() => eventsOf(connection.id))
      .toEqual(expect.arrayContaining(['connection.refresh_requested', 'connection.refreshed']))
  })

  it('tells what fails with the code that a call would meet', async () => {
    const connection = await imported(3_000_000)
    await issuer.revoke(connection.grant.grant)
    const attempt = owner.client.call('connectionRefresh', { params: { ...owner.place, connection: connection.id } })
    await expect(attempt).rejects.toMatchObject({ status: 409, code: 'reconnect_required' })
  })
})

describe('a refresh that is interrupted', () => {
  it('F-12 is saved by the node that has the answer, once the database is back', async () => {
    await behave(TURNING, { latencyMs: { before: [0, 0], after: [600, 600] } })
    const connection = await imported(-1_000)
    const [node, other] = [nodes[0]!, nodes[1]!]
    const asked = call(connection).then(({ status }) => status)
    await expect.poll(async () => (await showings(connection)).length).toBe(1)
    for (const { wire } of nodes) wire.cut()
    expect([200, 503]).toContain(await asked)
    expect((await fetch(`${node.gateway.url}/readyz`)).status).toBe(503)
    // What came back waits on disk, too, sealed.
    const spill = join(node.gateway.dataDir, 'spill')
    await expect.poll(() => readdir(spill)).toEqual([expect.stringMatching(/\.answer$/u)])
    const [file] = await readdir(spill)
    expect(await readFile(join(spill, file!), 'utf8')).not.toMatch(TOKEN)
    node.wire.mend()
    await behave(TURNING)
    const ready = async () => (await fetch(`${node.gateway.url}/readyz`)).status
    await expect.poll(ready, { timeout: 20_000 }).toBe(200)
    await expect.poll(() => readdir(spill)).toEqual([])
    other.wire.mend()
    await expect.poll(async () => (await view(connection.id)).health, { timeout: 20_000 }).toBe('active')
    await expect.poll(async () => (await call(connection, 1)).status, { timeout: 20_000 }).toBe(200)
    expect(await tokenOf(connection, 1)).not.toBe(connection.first)
    expect(await showings(connection)).toMatchObject([{ outcome: 'rotated' }])
  })

  it('F-13 is taken up by the other node when its own was killed', async () => {
    await behave(LASTING, { latencyMs: { before: [1_500, 1_500], after: [0, 0] } })
    const connection = await imported(-1_000, LASTING)
    const lost = call(connection, 1).catch(() => undefined)
    await expect.poll(async () => (await showings(connection)).length).toBe(1)
    expect((await view(connection.id)).health).toBe('refreshing')
    await behave(LASTING)
    await nodes[1]!.gateway.kill()
    const began = performance.now()
    await lost
    await expect.poll(async () => (await view(connection.id)).health, { timeout: 20_000, interval: 50 }).toBe('active')
    console.info(`resolved ${Math.round(performance.now() - began)} ms after the kill`)
    expect((await showings(connection)).at(-1)!.node).toBe('a')
    await nodes[1]!.wire.close()
    nodes[1] = await startNode('b')
    expect(await tokenOf(connection, 1)).toBe(await tokenOf(connection, 0))
  })
})

it('L-08 leaves no token in anything that was printed', () => {
  const output = nodes.map(({ gateway }) => gateway.output()).join('')
  expect(output).not.toMatch(TOKEN)
})
