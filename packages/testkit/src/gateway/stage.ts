/**
 * Owns the usual stage of an end-to-end test: a gateway process, an issuer to connect at, an API to call, an owner signed in and one
 * account connected through the hosted page. Everything goes through the typed client and plain HTTP, as users do it.
 */
import { createClient } from '@sallyport/client'
import type { Client } from '@sallyport/client'
import type { Scope } from '@sallyport/contract'
import { browserFor, submitFirstForm } from '@sallyport/sandbox'
import { startIssuer } from '../issuer/index.ts'
import type { Issuer } from '../issuer/index.ts'
import { startUpstream } from '../upstream/index.ts'
import type { Upstream } from '../upstream/index.ts'
import { startGatewayProcess } from './process.ts'
import type { GatewayProcess, GatewaySettings } from './process.ts'

export interface Place {
  readonly org: string
  readonly project: string
  readonly environment: 'live' | 'test'
}

export interface Owner {
  readonly client: Client
  readonly browser: typeof fetch
  readonly place: Place
}

export interface Stage {
  readonly gateway: GatewayProcess
  readonly issuer: Issuer
  readonly upstream: Upstream
  readonly owner: Owner
  /** A connection whose token is `token`, at integration `api`. */
  readonly connection: string
  readonly token: string
  /** A key with the scope proxy:call and nothing else. */
  readonly key: string
  /** A call through `/proxy/api`, with key and connection unless `init` names its own headers. */
  call(path: string, init?: RequestInit): Promise<Response>
  close(): Promise<void>
}

export const SLUG = 'api'

/** Sets the stage. `settings.file` is laid over what the stage itself needs. */
export async function setStage(settings: GatewaySettings = {}): Promise<Stage> {
  const [issuer, upstream] = await Promise.all([startIssuer(), startUpstream()])
  const gateway = await startGatewayProcess({ ...settings, file: { ...configFor(issuer, upstream), ...settings.file } })
  const owner = await signInOwner(gateway)
  await owner.client.call('integrationCreate', {
    params: owner.place,
    body: { slug: SLUG, provider: 'github', client_id: issuer.clientId, client_secret: issuer.clientSecret },
  })
  const connection = await connectAccount(owner, 'user-1')
  const key = await createKey(owner, ['proxy:call'])
  return {
    gateway,
    issuer,
    upstream,
    owner,
    connection,
    token: issuer.tokens.at(-1)!,
    key,
    call: (path, init) =>
      fetch(`${gateway.url}/proxy/${SLUG}${path}`, {
        redirect: 'manual',
        headers: { authorization: `Bearer ${key}`, 'sallyport-connection': connection },
        ...init,
      }),
    async close() {
      await gateway.stop()
      await Promise.all([issuer.close(), upstream.close()])
    },
  }
}

/** Lays the issuer and the API over the catalog's GitHub, and opens exactly those loopback origins. */
export function configFor(issuer: Issuer, upstream: Upstream): object {
  return {
    egress: { insecureAllowOrigins: [issuer.origin, upstream.origin] },
    // Tests of failures are many, and one after another; the circuit has tests of its own.
    breaker: { failures: 1_000_000 },
    providers: { github: { ...issuer.endpoints, apiBase: upstream.origin } },
  }
}

export async function signInOwner(gateway: Pick<GatewayProcess, 'url' | 'starterToken'>): Promise<Owner> {
  const browser = browserFor(gateway.url)
  const client = createClient({ baseUrl: gateway.url, fetch: browser })
  await client.call('sessionCreate', { body: { owner_token: gateway.starterToken } })
  const { memberships } = await client.call('whoami', {})
  const org = memberships[0]!.org
  const { data } = await client.call('projectList', { params: { org } })
  return { client, browser, place: { org, project: data[0]!.id, environment: 'test' } }
}

/** Connects an account through the hosted page, as the owner in the console, or reconnects one. Gives the connection's id. */
export async function connectAccount(owner: Owner, endUserId: string, again?: string): Promise<string> {
  const { session, link } = await owner.client.call('connectSessionCreate', {
    params: owner.place,
    body: { integration: SLUG, end_user_id: endUserId, ...(again === undefined ? {} : { connection: again }) },
  })
  const authorizationUrl = await submitFirstForm(owner.browser, link)
  const sentBack = await fetch(authorizationUrl, { redirect: 'manual' })
  await owner.browser(sentBack.headers.get('location')!)
  const { status, failure, connection } = await owner.client.call('connectSessionGet', { params: { ...owner.place, session: session.id } })
  if (status !== 'completed' || connection === null) throw new Error(`connecting ended as ${failure ?? status}`)
  return connection
}

export async function createKey(
  { client, place }: Owner,
  scopes: Scope[],
  more: { connection?: string; expires_in_s?: number } = {},
): Promise<string> {
  return (await client.call('keyCreate', { params: place, body: { name: 'a test', scopes, ...more } })).secret
}
