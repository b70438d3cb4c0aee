/**
 * Owns the stage of tests that refresh: gateways on one database, each over a wire that can be cut, an issuer that counts every token it is
 * shown, and an API that answers with the digest of the token that it was given (the gateway masks a token that comes back).
 */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { expect } from 'vitest'
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

/** Clients at the issuer, by the slugs of their integrations: one turns refresh tokens, strictly, the other never does. */
export const TURNING = { slug: 'turning', provider: 'github', client: 'turning-client' } as const
export const LASTING = { slug: 'lasting', provider: 'google', client: 'lasting-client' } as const
export type Kind = typeof TURNING | typeof LASTING

/** As the issuer spells its tokens. */
export const TOKEN = /\b(?:rt|at)\.g\d+-\w+\./u

export interface Node {
  readonly gateway: GatewayProcess
  /** Between this node and the database. */
  readonly wire: Wire
}

export interface Imported {
  readonly id: string
  readonly slug: string
  readonly grant: IssuedGrant
  /** Digest of its first access token. */
  readonly first: string
}

export interface NodeSettings {
  readonly variables?: Readonly<Record<string, string>>
  readonly dataDir?: string
  readonly port?: number
}

export class RefreshStage {
  readonly issuer: IssuerControl
  readonly upstream: Upstream
  readonly nodes: Node[] = []
  owner!: Owner
  key!: string
  /** How the API answers a token, told by its digest. */
  judge: (token: string) => number = () => 200
  readonly #settings: Readonly<Record<string, NodeSettings>>
  readonly #rootKeys = `test:${randomBytes(32).toString('hex')}`
  #database: Readonly<Record<string, string>> = {}

  private constructor(issuer: IssuerControl, upstream: Upstream, settings: Readonly<Record<string, NodeSettings>>) {
    this.issuer = issuer
    this.upstream = upstream
    this.#settings = settings
  }

  static async set(postgresUrl: string, nodes: Readonly<Record<string, NodeSettings>>): Promise<RefreshStage> {
    const [issuer, upstream] = await Promise.all([startHostileIssuer('refresh-in-gateways'), startUpstream()])
    const stage = new RefreshStage(issuer, upstream, nodes)
    await stage.behave(TURNING)
    await stage.behave(LASTING)
    upstream.answer((request, response) => {
      const token = digest(request.headers.authorization?.replace('Bearer ', '') ?? '')
      response.writeHead(stage.judge(token), { 'content-type': 'text/plain' }).end(token)
    })
    // Makes the database and its login; the nodes then reach it over their wires.
    const first = await startGatewayProcess({ postgresUrl, variables: { SALLYPORT_ENCRYPTION_KEYS: stage.#rootKeys } })
    stage.#database = first.database
    await first.stop()
    await stage.#startAll()
    stage.owner = await signInOwner(stage.nodes[0]!.gateway)
    for (const { slug, provider, client } of [TURNING, LASTING]) {
      const body = { slug, provider, client_id: client, client_secret: clientSecretOf(client) }
      await stage.owner.client.call('integrationCreate', { params: stage.owner.place, body })
    }
    stage.key = await createKey(stage.owner, ['proxy:call', 'connect_sessions:write', 'connections:read', 'connections:write'])
    return stage
  }

  async startNode(name: string, { variables, dataDir, port }: NodeSettings = {}): Promise<Node> {
    const app = new URL(this.#database['SALLYPORT_DATABASE_URL']!)
    const wire = await startWire({ host: app.hostname, port: Number(app.port) })
    app.hostname = '127.0.0.1'
    app.port = String(wire.port)
    const { issuer, upstream } = this
    const endpoints = {
      authorizationEndpoint: `${issuer.origin}/authorize`,
      tokenEndpoint: `${issuer.origin}/at/${name}/token`,
      userinfoEndpoint: `${issuer.origin}/user`,
      apiBase: upstream.origin,
    }
    const gateway = await startGatewayProcess({
      ...(dataDir === undefined ? {} : { dataDir }),
      ...(port === undefined ? {} : { port }),
      database: { ...this.#database, SALLYPORT_DATABASE_URL: app.href },
      variables: { SALLYPORT_ENCRYPTION_KEYS: this.#rootKeys, SALLYPORT_LOG_LEVEL: 'debug', SALLYPORT_METRICS_PORT: '0', ...variables },
      file: {
        egress: { insecureAllowOrigins: [issuer.origin, upstream.origin] },
        providers: { github: endpoints, google: endpoints },
      },
    })
    return { gateway, wire }
  }

  behave(kind: Kind, over: Partial<IssuerClientSettings> = {}): Promise<void> {
    return this.issuer.setClient(kind.client, { ...CALM, profile: { kind: kind === TURNING ? 'strict' : 'none' }, ...over })
  }

  /** A connection whose access token has `lifeMs` left, of the hour that it had; `named`: the application knew its account. */
  async imported(lifeMs: number, { slug, client }: Kind = TURNING, named = true): Promise<Imported> {
    const grant = await this.issuer.grant(client)
    const { id } = await this.owner.client.call('connectionImport', {
      params: this.owner.place,
      body: {
        integration: slug,
        end_user_id: `user-${randomBytes(6).toString('hex')}`,
        access_token: grant.accessToken,
        refresh_token: grant.refreshToken,
        expires_at: new Date(Date.now() + lifeMs).toISOString(),
        ...(named ? { account: { id: grant.grant } } : {}),
      },
    })
    await this.#age(id)
    return { id, slug, grant, first: digest(grant.accessToken) }
  }

  call({ id, slug }: Imported, at = 0, over: Record<string, string> = {}, signal?: AbortSignal): Promise<Response> {
    return fetch(`${this.nodes[at]!.gateway.url}/proxy/${slug}/user`, {
      headers: { authorization: `Bearer ${this.key}`, 'sallyport-connection': id, ...over },
      ...(signal === undefined ? {} : { signal }),
    })
  }

  /** The digest of the token that a call goes out with. @throws when the call is refused. */
  async tokenOf(connection: Imported, at = 0): Promise<string> {
    const response = await this.call(connection, at)
    const body = await response.text()
    if (response.status !== 200) throw new Error(`the call was answered with ${response.status}: ${body}`)
    return body
  }

  async showings({ grant }: Imported) {
    return (await this.issuer.journal()).showings.filter((one) => one.grant === grant.grant)
  }

  view({ id }: Imported) {
    return this.owner.client.call('connectionGet', { params: { ...this.owner.place, connection: id } })
  }

  async eventsOf({ id }: Imported): Promise<string[]> {
    const { data } = await this.owner.client.call('auditEventList', { params: { org: this.owner.place.org }, query: { limit: 200 } })
    return data.filter(({ target }) => target === id).map(({ action }) => action)
  }

  async readiness(at = 0): Promise<string> {
    return ((await (await fetch(`${this.nodes[at]!.gateway.url}/readyz`)).json()) as { status: string }).status
  }

  /** A backup of the whole database, as it stands now. */
  async backUp(): Promise<void> {
    await this.#between(async (admin, database) => {
      await admin.query(`create database "${database}_backup" template "${database}"`)
    })
  }

  /** Puts the backup in the place of the database, which is gone. */
  async restore(): Promise<void> {
    await this.#between(async (admin, database) => {
      await admin.query(`drop database "${database}"`)
      await admin.query(`alter database "${database}_backup" rename to "${database}"`)
    })
  }

  async close(): Promise<void> {
    await this.#stopAll()
    await Promise.all([this.issuer.close(), this.upstream.close()])
  }

  /** Stops every node, does this to the database, and starts them again. */
  async #between(work: (admin: Client, database: string) => Promise<void>): Promise<void> {
    await this.#stopAll()
    const url = new URL(this.#database['SALLYPORT_DATABASE_MIGRATION_URL']!)
    const database = url.pathname.slice(1)
    url.pathname = '/postgres'
    const admin = new Client({ connectionString: url.href })
    await admin.connect()
    try {
      await work(admin, database)
    } finally {
      await admin.end()
    }
    await this.#startAll()
  }

  async #startAll(): Promise<void> {
    this.nodes.push(...(await Promise.all(Object.entries(this.#settings).map(([name, settings]) => this.startNode(name, settings)))))
    if (this.owner !== undefined) this.owner = await signInOwner(this.nodes[0]!.gateway)
  }

  async #stopAll(): Promise<void> {
    for (const { gateway, wire } of this.nodes.splice(0)) {
      wire.mend()
      await gateway.stop()
      await wire.close()
    }
  }

  /** As if its version had been obtained an hour ago: rows are insert-only, so the trigger stands aside for it. */
  async #age(connection: string): Promise<void> {
    const client = new Client({ connectionString: this.#database['SALLYPORT_DATABASE_MIGRATION_URL']! })
    const id = parseId('conn', connection)
    await client.connect()
    try {
      await client.query("set session_replication_role = 'replica'")
      await client.query("update sallyport.credential_version set obtained_at = obtained_at - interval '1 hour' where connection_id = $1", [
        id,
      ])
      await client.query('set session_replication_role = default')
      // Tells the nodes.
      await client.query('update sallyport.connection set updated_at = now() where id = $1', [id])
    } finally {
      await client.end()
    }
  }
}

/** What becomes so by itself; a busy machine may take its time. */
export function eventually<T>(read: () => T | Promise<T>) {
  return expect.poll(read, { timeout: 30_000, interval: 50 })
}

export async function problemOf(response: Response): Promise<Problem> {
  return problemSchema.parse(await response.json())
}

export function digest(token: string): string {
  return sha256(token).toString('hex')
}
