/**
 * Owns a token issuer that is hostile on purpose: several clients, each with its rotation profile, its latency and its share of faults, and a
 * journal of every refresh token that was shown. State lives in memory. Refuses to serve the control port to anyone but loopback.
 *
 *   POST /at/{node}/token   refresh_token and authorization_code grants; {node} is written into the journal
 *   GET  /authorize         sends the browser back with a code at once, as a person would who agrees
 *   GET  /user              the account behind an access token
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { ANSWER_FAULTS } from './answer-faults.ts'
import type { AnswerFault, AnswerFaultName } from './answer-faults.ts'
import { GrantLedger, readToken } from './grant-ledger.ts'
import type { GrantRecord, IssuerProfile, Showing } from './history.ts'
import { chanceFrom } from './random.ts'
import type { Chance } from './random.ts'

export interface IssuerClientSettings {
  readonly profile: IssuerProfile
  /** Lifetime of access tokens, in seconds. */
  readonly expiresIn: number
  /** Milliseconds before the books are opened, and after; each a range. */
  readonly latencyMs: { readonly before: readonly [number, number]; readonly after: readonly [number, number] }
  /** Share of refreshes that go wrong, 0 to 1, and what may go wrong, with weights. */
  readonly faultRate: number
  readonly faults: readonly (readonly [AnswerFaultName, number])[]
  /** Share of refreshes at which the person has just taken the grant back. */
  readonly revokeRate: number
  /** How long `slow_body` takes. */
  readonly slowMs: number
}

export const CALM: Omit<IssuerClientSettings, 'profile'> = {
  expiresIn: 3600,
  latencyMs: { before: [0, 0], after: [0, 0] },
  faultRate: 0,
  faults: [],
  revokeRate: 0,
  slowMs: 200,
}

export interface IssuedGrant {
  readonly grant: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly expiresIn: number
}

/** What a proof does to the issuer and reads from it; the same in process and over the control port. */
export interface IssuerControl {
  readonly origin: string
  /** Adds a client, or changes one from the next request on. */
  readonly setClient: (client: string, settings: IssuerClientSettings) => Promise<void>
  /** A consent without a browser. */
  readonly grant: (client: string) => Promise<IssuedGrant>
  /** The next refreshes of this client go wrong in these ways, before its own share does. */
  readonly next: (client: string, faults: readonly AnswerFaultName[]) => Promise<void>
  readonly revoke: (grant: string) => Promise<boolean>
  /** Showings from request `since` on, finished or not, and all grants. */
  readonly journal: (since?: number) => Promise<{ readonly showings: readonly Showing[]; readonly grants: readonly GrantRecord[] }>
  readonly close: () => Promise<void>
}

/** A client's secret, obviously none. */
export const clientSecretOf = (client: string): string => `not-a-secret-of-${client}`

export async function startHostileIssuer(seed: string): Promise<IssuerControl> {
  const issuer = new HostileIssuer(chanceFrom(seed))
  const server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    issuer.serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error('failed')))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  issuer.origin = origin
  return {
    origin,
    setClient: async (client, settings) => issuer.setClient(client, settings),
    grant: async (client) => issuer.grant(client),
    next: async (client, faults) => void issuer.client(client).forced.push(...faults),
    revoke: async (grant) => issuer.ledger.revoke(grant, Date.now()),
    journal: async (since = 0) => ({ showings: issuer.showings.slice(since), grants: issuer.ledger.records(Date.now()) }),
    close: () => closeServer(server),
  }
}

export async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.closeAllConnections()
  await closed
}

interface Client {
  settings: IssuerClientSettings
  readonly chance: Chance
  readonly forced: AnswerFaultName[]
}

interface Code {
  readonly client: string
  readonly redirectUri: string
  readonly scope: string
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

const ACCESS = /^Bearer (at\.[A-Za-z0-9-]+\.[\w-]+)$/u

class HostileIssuer {
  origin = ''
  readonly ledger = new GrantLedger()
  readonly showings: Writable<Showing>[] = []
  readonly #clients = new Map<string, Client>()
  readonly #codes = new Map<string, Code>()
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  setClient(name: string, settings: IssuerClientSettings): void {
    const client = this.#clients.get(name)
    if (client === undefined) this.#clients.set(name, { settings, chance: this.#chance.branch(name), forced: [] })
    else client.settings = settings
  }

  client(name: string): Client {
    const client = this.#clients.get(name)
    if (client === undefined) throw new Error(`the issuer knows no client ${name}`)
    return client
  }

  grant(client: string): IssuedGrant {
    const { profile, expiresIn } = this.client(client).settings
    const { grant, token } = this.ledger.open(client, profile, Date.now())
    return { grant, accessToken: accessToken(grant), refreshToken: token, expiresIn }
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin)
    const node = /^\/at\/([\w.-]{1,64})\/token$/u.exec(url.pathname)?.[1]
    if (node !== undefined && request.method === 'POST') return this.#token(node, request, response)
    if (url.pathname === '/authorize') return this.#authorize(url.searchParams, response)
    if (url.pathname === '/user') return this.#user(request, response)
    answer(response, 404, { error: 'no_such_place' })
  }

  #authorize(asked: URLSearchParams, response: ServerResponse): void {
    const [client, redirectUri] = [asked.get('client_id') ?? '', asked.get('redirect_uri')]
    if (!this.#clients.has(client) || redirectUri === null) return answer(response, 400, { error: 'invalid_request' })
    const code = randomBytes(16).toString('base64url')
    this.#codes.set(code, { client, redirectUri, scope: asked.get('scope') ?? '' })
    const target = new URL(redirectUri)
    for (const [name, value] of [
      ['code', code],
      ['state', asked.get('state') ?? ''],
      ['iss', this.origin],
    ] as const)
      target.searchParams.set(name, value)
    response.writeHead(302, { location: target.href }).end()
  }

  #user(request: IncomingMessage, response: ServerResponse): void {
    const token = ACCESS.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) return answer(response, 401, { error: 'invalid_token' })
    const grant = token.split('.')[1]!
    answer(response, 200, { id: grant, login: grant })
  }

  async #token(node: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const arrivedAt = Date.now()
    const form = await formOf(request)
    const name = authenticated(request, form)
    const client = name === undefined ? undefined : this.#clients.get(name)
    if (name === undefined || client === undefined) return answer(response, 401, { error: 'invalid_client' })
    if (form.get('grant_type') === 'authorization_code') return this.#exchange(name, form, response)
    const shown = form.get('refresh_token') ?? ''
    if (form.get('grant_type') !== 'refresh_token' || shown === '') return answer(response, 400, { error: 'invalid_request' })
    if (!this.ledger.knows(name, shown)) return answer(response, 400, { error: 'invalid_grant' })
    await this.#refresh({ name, client, node, shown, arrivedAt, scope: form.get('scope') ?? 'all' }, response)
  }

  #exchange(name: string, form: URLSearchParams, response: ServerResponse): void {
    const code = this.#codes.get(form.get('code') ?? '')
    this.#codes.delete(form.get('code') ?? '')
    if (code?.client !== name || code.redirectUri !== form.get('redirect_uri')) return answer(response, 400, { error: 'invalid_grant' })
    const { accessToken: access_token, refreshToken: refresh_token, expiresIn: expires_in } = this.grant(name)
    answer(response, 200, { access_token, token_type: 'Bearer', expires_in, scope: code.scope, refresh_token })
  }

  async #refresh(asked: Asked, response: ServerResponse): Promise<void> {
    const { client } = asked
    const { settings, chance } = client
    const forced = client.forced.shift()
    const fault = forced ?? (chance.next() < settings.faultRate ? chance.weighted(settings.faults) : undefined)
    const row: AnswerFault | undefined = fault === undefined ? undefined : ANSWER_FAULTS[fault]
    const record = this.#note(asked, fault, response)
    const [revoked, before, after] = [
      chance.next() < settings.revokeRate,
      chance.between(...settings.latencyMs.before),
      chance.between(...settings.latencyMs.after),
    ]
    await wait(before)
    if (revoked) this.ledger.revoke(record.grant, Date.now())
    if (row?.commits === false) {
      record.told = row.told
      return row.play(response, undefined, settings.slowMs)
    }
    const members = this.#spend(asked, record, row)
    await wait(after)
    if (members === undefined) return answer(response, 400, { error: 'invalid_grant' })
    // A token that is shown again under grace has been replaced: an answer that says nothing of its successor would be a lie.
    const lawful = row === undefined || (!row.rotates && record.outcome === 'again')
    record.told = lawful ? 'tokens' : row.told
    if (lawful) answer(response, 200, members)
    else row.play(response, members, settings.slowMs)
  }

  #note({ name, node, shown, arrivedAt }: Asked, fault: AnswerFaultName | undefined, response: ServerResponse): Writable<Showing> {
    const { grant, serial } = readToken(shown)!
    const record: Writable<Showing> = {
      request: this.showings.length,
      client: name,
      node,
      grant,
      token: serial,
      arrivedAt,
      outcome: 'untouched',
      committedAt: null,
      successor: null,
      fault: fault ?? null,
      told: 'unclear',
      doneAt: null,
      delivered: false,
    }
    this.showings.push(record)
    response.once('close', () => {
      record.doneAt = Date.now()
      record.delivered = response.writableFinished
    })
    return record
  }

  /** Opens the books. Undefined when they refuse the grant. */
  #spend({ client, shown, scope }: Asked, record: Writable<Showing>, row: AnswerFault | undefined): Record<string, unknown> | undefined {
    const { outcome, given } = this.ledger.show(shown, Date.now(), row?.rotates !== false)
    record.outcome = outcome
    record.committedAt = Date.now()
    record.told = 'refused'
    if (given === undefined) return undefined
    record.successor = outcome === 'kept' ? null : given.serial
    return {
      access_token: accessToken(record.grant),
      token_type: 'Bearer',
      expires_in: client.settings.expiresIn,
      scope,
      refresh_token: given.text,
    }
  }
}

interface Asked {
  readonly name: string
  readonly client: Client
  readonly node: string
  readonly shown: string
  readonly arrivedAt: number
  readonly scope: string
}

function accessToken(grant: string): string {
  return `at.${grant}.${randomBytes(12).toString('base64url')}`
}

/** RFC 6749 section 2.3.1, either way. The name of the client, once it has proved itself. */
function authenticated(request: IncomingMessage, form: URLSearchParams): string | undefined {
  const basic = /^Basic (.+)$/u.exec(request.headers.authorization ?? '')?.[1]
  const [id, secret] =
    basic === undefined
      ? [form.get('client_id'), form.get('client_secret')]
      : Buffer.from(basic, 'base64').toString('utf8').split(':').map(decodeURIComponent)
  return typeof id === 'string' && secret === clientSecretOf(id) ? id : undefined
}

async function bodyText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

async function wait(ms: number): Promise<void> {
  if (ms > 0) await after(ms)
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body))
}

/** A form, or the same as JSON, which some providers take. */
async function formOf(request: IncomingMessage): Promise<URLSearchParams> {
  const text = await bodyText(request)
  if (request.headers['content-type']?.startsWith('application/json') !== true) return new URLSearchParams(text)
  return new URLSearchParams(JSON.parse(text) as Record<string, string>)
}
