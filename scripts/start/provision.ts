/**
 * Makes the first call possible: integrations for the sandbox providers, a connected account at each, a key of each vendor of models, and an API key. It acts as an owner in the
 * console would, through the typed client alone, and as the person who signs in at the sandbox. What still works from the last start is kept;
 * what does not is repaired, and connections keep their ids.
 */
import { createClient } from '@sallyport/client'
import { browserFor, signIn, submitFirstForm } from '@sallyport/sandbox'
import type { SandboxOrigins } from './processes.ts'

const ENVIRONMENT = 'test'
const END_USER = 'sandbox-reader'
const KEY_SCOPES = ['proxy:call', 'llm:call', 'connections:read'] as const

/** Per provider: the call that shows that a connection works. */
const PROBES = { github: 'user', google: 'oauth2/v2/userinfo' } as const
type ProviderName = keyof typeof PROBES
const PROVIDERS = Object.keys(PROBES) as ProviderName[]

/** The sandbox's vendors of models as the gateway is told of them, each with a call that shows that its key works. */
export const MODEL_PROVIDERS = [
  { id: 'sandbox', dialect: 'openai', name: 'Sandbox', probe: 'v1/models', more: {} },
  {
    id: 'sandbox-anthropic',
    dialect: 'anthropic',
    name: 'Sandbox, as Anthropic',
    probe: 'v1/models',
    more: { injection: { name: 'x-api-key', template: '{token}' }, defaultHeaders: { 'anthropic-version': '2023-06-01' } },
  },
  {
    id: 'sandbox-gemini',
    dialect: 'gemini',
    name: 'Sandbox, as Gemini',
    probe: 'v1beta/models',
    more: { injection: { name: 'x-goog-api-key', template: '{token}' } },
  },
] as const

/** What is kept between starts. */
export interface Provision {
  key: string
  connections: Record<ProviderName, string>
}

interface Owner {
  client: ReturnType<typeof createClient>
  browser: typeof fetch
  place: { org: string; project: string; environment: typeof ENVIRONMENT }
}

export interface ProvisionOptions {
  /** The gateway's public URL. */
  url: string
  sandbox: SandboxOrigins
  /** A one-time token for an owner's session; used only when something is missing. Null: there is none. */
  starterToken: string | null
  remembered: Provision | undefined
  /** Told of each thing that is made. */
  report(what: string): void
}

/** Gives a key and connections that work now. @throws Error, with what failed, when they cannot be made. */
export async function provision(options: ProvisionOptions): Promise<Provision> {
  const { url, remembered } = options
  let opened: Promise<Owner> | undefined
  const owner = (): Promise<Owner> => (opened ??= openOwner(url, options.starterToken))

  let key = remembered?.key
  if (key === undefined || !(await isKeyGood(url, key)) || (await modelStatus(url, key, MODEL_PROVIDERS[0])) === FORBIDDEN) {
    options.report('making an API key')
    key = await createKey(await owner())
  }
  const connections: Partial<Record<ProviderName, string>> = {}
  for (const provider of PROVIDERS) {
    const known = remembered?.connections[provider]
    if (known !== undefined && (await answers(url, key, provider, known))) {
      connections[provider] = known
      continue
    }
    options.report(`connecting a ${provider} account of the sandbox`)
    connections[provider] = await connect(await owner(), options.sandbox, provider)
    if (!(await answers(url, key, provider, connections[provider]))) throw new Error(`The new ${provider} connection does not answer.`)
  }
  for (const provider of MODEL_PROVIDERS) {
    if ((await modelStatus(url, key, provider)) === OK) continue
    options.report(`keeping a key of ${provider.name}`)
    await keepModelKey(await owner(), options.sandbox, provider.id)
    if ((await modelStatus(url, key, provider)) !== OK) throw new Error(`${provider.name} does not answer with its new key.`)
  }
  return { key, connections: connections as Record<ProviderName, string> }
}

async function openOwner(url: string, starterToken: string | null): Promise<Owner> {
  if (starterToken === null) throw new Error('The gateway gave no owner session to make the sandbox connections with.')
  const browser = browserFor(new URL(url).origin)
  const client = createClient({ baseUrl: url, fetch: browser })
  await client.call('sessionCreate', { body: { owner_token: starterToken } })
  const org = (await client.call('whoami', {})).memberships[0]?.org
  if (org === undefined) throw new Error('The owner belongs to no organization.')
  const { data: projects } = await client.call('projectList', { params: { org } })
  const project = (projects.find(({ name }) => name === 'default') ?? projects[0])?.id
  if (project === undefined) throw new Error('The organization has no project.')
  return { client, browser, place: { org, project, environment: ENVIRONMENT } }
}

async function isKeyGood(url: string, key: string): Promise<boolean> {
  const response = await fetch(new URL('/api/v1/whoami', url), { headers: { authorization: `Bearer ${key}` } })
  await response.body?.cancel()
  return response.status === 200
}

const OK = 200
/** A key of an earlier start, made before it was to call models. */
const FORBIDDEN = 403

async function modelStatus(url: string, key: string, { id, probe }: (typeof MODEL_PROVIDERS)[number]): Promise<number> {
  const response = await fetch(new URL(`/llm/${id}/${probe}`, url), { headers: { authorization: `Bearer ${key}` } })
  await response.body?.cancel()
  return response.status
}

/** In place of one that no longer works. */
async function keepModelKey({ client, place }: Owner, { models }: SandboxOrigins, provider: string): Promise<void> {
  const { data } = await client.call('providerKeyList', { params: place, query: { limit: 200 } })
  for (const old of data.filter((one) => one.provider === provider && one.state !== 'ended')) {
    await client.call('providerKeyRevoke', { params: { ...place, provider_key: old.id } })
  }
  await client.call('providerKeyCreate', { params: place, body: { provider, secret: models.key } })
}

async function createKey({ client, place }: Owner): Promise<string> {
  const created = await client.call('keyCreate', { params: place, body: { name: 'npm start', scopes: [...KEY_SCOPES] } })
  return created.secret
}

/** True when the provider itself answers a call through this connection. */
async function answers(url: string, key: string, provider: ProviderName, connection: string): Promise<boolean> {
  const response = await fetch(new URL(`/proxy/${provider}/${PROBES[provider]}`, url), {
    headers: { authorization: `Bearer ${key}`, 'sallyport-connection': connection },
  })
  await response.body?.cancel()
  return response.status === 200
}

/** Connects, or reconnects what this end user has already, and gives the connection's id. */
async function connect(owner: Owner, sandbox: SandboxOrigins, provider: ProviderName): Promise<string> {
  const { client, browser, place } = owner
  await ensureIntegration(owner, sandbox, provider)
  const { data: existing } = await client.call('connectionList', { params: place, query: { integration: provider, end_user_id: END_USER } })
  const [again] = existing
  const { session, link } = await client.call('connectSessionCreate', {
    params: place,
    body: { integration: provider, end_user_id: END_USER, ...(again === undefined ? {} : { connection: again.id }) },
  })
  const authorizationUrl = await submitFirstForm(browser, link)
  const callback = await browser(await signIn(authorizationUrl, sandbox[provider].users[0] ?? ''))
  await callback.body?.cancel()
  const { status, failure, connection } = await client.call('connectSessionGet', { params: { ...place, session: session.id } })
  if (status !== 'completed' || connection === null) throw new Error(`Connecting ${provider} ended as ${failure ?? status}.`)
  return connection
}

async function ensureIntegration({ client, place }: Owner, sandbox: SandboxOrigins, provider: ProviderName): Promise<void> {
  const { data: integrations } = await client.call('integrationList', { params: place, query: { limit: 200 } })
  if (integrations.some(({ slug }) => slug === provider)) return
  const { clientId, clientSecret } = sandbox[provider]
  await client.call('integrationCreate', {
    params: place,
    body: { slug: provider, provider, client_id: clientId, client_secret: clientSecret },
  })
}
