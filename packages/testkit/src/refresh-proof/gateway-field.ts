/**
 * Owns the proof's field of whole gateways: a database with several organizations, each with an integration, a key and imported connections; a
 * Redis; an API to call; and the gateways, started as an operator would. Refuses hooks into the product: all goes through its API, but for
 * what the judge reads.
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseId } from '@sallyport/core'
import type { CredentialRef } from '@sallyport/core'
import { addOrganization } from '../gateway/organization.ts'
import { startGatewayProcess } from '../gateway/process.ts'
import { createKey, signInOwner } from '../gateway/stage.ts'
import type { Place } from '../gateway/stage.ts'
import { dropDatabase } from '../servers/database.ts'
import { startTestRedis } from '../servers/redis.ts'
import { startUpstream } from '../upstream/index.ts'
import type { Field } from './crew.ts'
import { GatewayCrew } from './gateway-crew.ts'
import { openGatewaySlots } from './gateway-slots.ts'
import { openGatewayStore } from './gateway-store.ts'
import { clientSecretOf } from './hostile-issuer.ts'
import type { IssuedGrant } from './hostile-issuer.ts'
import { startIssuerProcess } from './hostile-issuer-process.ts'
import type { IssuerProfile, ProfileKind } from './history.ts'
import { Population } from './population.ts'
import type { Consents } from './population.ts'
import type { TroubleWeights } from './schedule.ts'

export interface GatewayFieldOptions {
  /** Administrative URL of a Postgres, on which a database is made. */
  readonly postgresUrl: string
  readonly profile: IssuerProfile
  readonly nodes: number
  readonly credentials: number
  readonly organizations: number
  readonly seed: string
  /** What may happen to the gateways; all of it when absent. */
  readonly troubles?: TroubleWeights
}

/** Providers of the catalog by how they are declared to rotate; their endpoints are laid over. */
const PROVIDERS: Readonly<Record<ProfileKind, string>> = { none: 'google', grace: 'atlassian', strict: 'github' }
/** The catalog's window of that provider. */
export const GATEWAY_GRACE_S = 600
const CLIENT = 'proof'
const INTEGRATION = 'proved'

/** Where a connection is, and the key that calls with it. */
export interface GatewayPlace {
  readonly place: Place
  readonly key: string
  /** Path of the environment's resources. */
  readonly path: string
}

export async function openGatewayField(options: GatewayFieldOptions): Promise<Field> {
  const cleanups: (() => Promise<unknown>)[] = []
  const close = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
  }
  const keeping = async <T>(opening: Promise<T>, end: (opened: T) => Promise<unknown>): Promise<T> => {
    const opened = await opening
    cleanups.push(() => end(opened))
    return opened
  }
  try {
    const folder = await keeping(mkdtemp(join(tmpdir(), 'sallyport-proof-')), (path) =>
      rm(path, { recursive: true, force: true, maxRetries: 10 }),
    )
    const upstream = await keeping(startUpstream(), (one) => one.close())
    upstream.answer((_request, response) => void response.end('{}'))
    const redis = await keeping(startTestRedis(), (one) => one.stop())
    const issuer = await keeping(startIssuerProcess(options.seed), (one) => one.close())
    const rootKeys = `proof:${randomBytes(32).toString('hex')}`
    const founded = await found(options, rootKeys)
    cleanups.push(() => dropDatabase(options.postgresUrl, new URL(founded.database['SALLYPORT_DATABASE_URL']!).pathname.slice(1)))
    const { store } = await keeping(openGatewayStore(founded.database['SALLYPORT_DATABASE_URL']!, rootKeys), (one) => one.close())
    const slots = await keeping(
      openGatewaySlots(options.nodes, {
        folder,
        database: founded.database,
        rootKeys,
        redisUrl: redis.url,
        issuerOrigin: issuer.origin,
        upstreamOrigin: upstream.origin,
        provider: PROVIDERS[options.profile.kind],
      }),
      (all) => Promise.all(all.map((slot) => slot.close())),
    )
    await Promise.all(slots.map((slot) => slot.start()))
    const connections = new Connections(founded.places, () => slots.flatMap((slot) => slot.process?.url ?? []))
    const population = new Population(options.credentials, { store, issuer, client: CLIENT }, connections)
    const crew = new GatewayCrew(slots, connections, population.credentials, options.troubles)
    return { issuer, client: CLIENT, population, crew, close }
  } catch (error) {
    await close()
    throw error
  }
}

interface Founded {
  readonly places: readonly GatewayPlace[]
  /** Variables that name the database. */
  readonly database: Readonly<Record<string, string>>
}

/** Makes the organizations by a gateway that ends before the first trouble. */
async function found({ postgresUrl, profile, organizations }: GatewayFieldOptions, rootKeys: string): Promise<Founded> {
  const gateway = await startGatewayProcess({ postgresUrl, variables: { SALLYPORT_ENCRYPTION_KEYS: rootKeys } })
  try {
    const first = await signInOwner(gateway)
    const { id } = await first.client.call('whoami', {})
    const places = [first.place]
    while (places.length < organizations) places.push(await addOrganization(gateway.databaseUrl!, id))
    // A session of its own: what the first one knows of memberships is remembered for some seconds.
    const starterToken = new URL(gateway.ownerLink).hash.slice('#owner='.length)
    const { client, browser } = await signInOwner({ url: gateway.url, starterToken })
    const keyed: GatewayPlace[] = []
    for (const place of places) {
      const body = { slug: INTEGRATION, provider: PROVIDERS[profile.kind], client_id: CLIENT, client_secret: clientSecretOf(CLIENT) }
      await client.call('integrationCreate', { params: place, body })
      const key = await createKey({ client, browser, place }, ['proxy:call', 'connections:read', 'connections:write'])
      keyed.push({ place, key, path: `/api/v1/orgs/${place.org}/projects/${place.project}/${place.environment}` })
    }
    return { places: keyed, database: gateway.database }
  } finally {
    await gateway.stop()
  }
}

/** How long a node has to take a credential over. */
const IMPORT_MS = 5_000

/** The connections of a proof: which one stands for a credential now, and in which organization. */
export class Connections implements Consents {
  readonly #places: readonly GatewayPlace[]
  readonly #nodes: () => readonly string[]
  readonly #ids = new Map<string, string>()
  #turn = 0

  constructor(places: readonly GatewayPlace[], nodes: () => readonly string[]) {
    this.#places = places
    this.#nodes = nodes
  }

  placeOf(credential: string): GatewayPlace {
    return this.#places[Number(credential.split('-')[1]) % this.#places.length]!
  }

  /** `conn_...` */
  idOf(credential: string): string {
    return this.#ids.get(credential)!
  }

  /** A call through the gateway at `url`, with this credential. */
  call(url: string, credential: string, signal: AbortSignal): Promise<Response> {
    const headers = { authorization: `Bearer ${this.placeOf(credential).key}`, 'sallyport-connection': this.idOf(credential) }
    return fetch(`${url}/proxy/${INTEGRATION}/user`, { headers, signal })
  }

  /** Renewed by hand. */
  renew(url: string, credential: string, signal: AbortSignal): Promise<Response> {
    const { key, path } = this.placeOf(credential)
    const headers = { authorization: `Bearer ${key}` }
    return fetch(`${url}${path}/connections/${this.idOf(credential)}/refresh`, { method: 'POST', headers, signal })
  }

  refOf(credential: string): CredentialRef {
    return { scope: parseId('org', this.placeOf(credential).place.org)!, id: parseId('conn', this.idOf(credential))! }
  }

  async connect(credential: string, issued: IssuedGrant, expired: boolean): Promise<boolean> {
    const nodes = this.#nodes()
    const id = nodes.length === 0 ? undefined : await this.#import(nodes[this.#turn++ % nodes.length]!, credential, issued, expired)
    if (id !== undefined) this.#ids.set(credential, id)
    return id !== undefined
  }

  async #import(url: string, credential: string, issued: IssuedGrant, expired: boolean): Promise<string | undefined> {
    const { key, path } = this.placeOf(credential)
    const body = {
      integration: INTEGRATION,
      // Another each time: a person who comes anew, after a grant that is over.
      end_user_id: `${credential}.${issued.grant}`,
      access_token: issued.accessToken,
      refresh_token: issued.refreshToken,
      expires_at: new Date(Date.now() + (expired ? -1 : issued.expiresIn * 1000)).toISOString(),
      account: { id: issued.grant },
    }
    try {
      const response = await fetch(`${url}${path}/connections/import`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(IMPORT_MS),
      })
      const answer = (await response.json()) as { id?: string; code?: string }
      if (response.status === 201) return answer.id!
      if (response.status < 500 && response.status !== 429) throw new ImportRefused(`${response.status} ${answer.code}`)
      return undefined
    } catch (error) {
      if (error instanceof ImportRefused) throw error
      // A node in trouble: another one is asked.
      return undefined
    }
  }
}

/** A refusal that no trouble explains. */
class ImportRefused extends Error {}
