/**
 * Owns the gateway under test: the real process on an embedded database in a throw-away folder, with an account connected through the hosted page
 * and a key that may call it. Nothing in it is switched off; use of credentials is audited in batches, as by default.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createClient } from '@sallyport/client'
import { browserFor, submitFirstForm } from '@sallyport/sandbox'
import { launch } from './processes.ts'
import type { Running } from './processes.ts'

export interface GatewayOptions {
  readonly root: string
  readonly dataDir: string
  /** Of the provider's OAuth server and of its API. */
  readonly origins: { readonly oauth: string; readonly api: string }
  /** Of the configuration file, beside what the benchmark writes there or in its place. */
  readonly file?: object
  readonly core: number | undefined
  readonly nodeArgs?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export interface Gateway {
  readonly process: Running
  readonly port: number
  readonly url: string
  readonly starterToken: string
}

/** What a call needs besides its path. */
export interface Access {
  readonly key: string
  readonly connection: string
}

export async function startGateway({ root, dataDir, origins, file = {}, core, nodeArgs = [], env = {} }: GatewayOptions): Promise<Gateway> {
  const config = join(dataDir, 'bench.config.yaml')
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ ...configFor(origins), ...file }))
  const port = await freePort()
  const gateway = await launch({
    name: 'the gateway',
    script: join(root, 'packages/server/src/main.ts'),
    args: ['serve'],
    nodeArgs,
    cwd: root,
    core,
    env: {
      ...withoutSettings(process.env),
      // What is measured is the gateway, not its limits; they are on all the same.
      SALLYPORT_RATE_PER_SECOND: '1000000',
      SALLYPORT_RATE_BURST: '1000000',
      SALLYPORT_RATE_MAX_PER_SECOND: '1000000',
      SALLYPORT_RATE_MAX_BURST: '1000000',
      ...env,
      SALLYPORT_MODE: 'development',
      SALLYPORT_DATA_DIR: dataDir,
      SALLYPORT_CONFIG: config,
      SALLYPORT_PORT: String(port),
      SALLYPORT_LOG_LEVEL: 'warn',
      // Another gateway may have the usual one.
      SALLYPORT_METRICS_PORT: '0',
    },
  })
  const { url, starterToken } = gateway.ready as { url: string; starterToken: string }
  return { process: gateway, port, url, starterToken }
}

async function signIn({ url, starterToken }: Gateway) {
  const browser = browserFor(new URL(url).origin)
  const client = createClient({ baseUrl: url, fetch: browser })
  await client.call('sessionCreate', { body: { owner_token: starterToken } })
  const org = (await client.call('whoami', {})).memberships[0]!.org
  const project = (await client.call('projectList', { params: { org } })).data[0]!.id
  return { browser, client, place: { org, project, environment: 'test' } as const }
}

/** Keeps a key of a model provider, and gives a key of the gateway's that calls models. */
export async function keepModelKey(gateway: Gateway, provider: string, secret: string): Promise<string> {
  const { client, place } = await signIn(gateway)
  await client.call('providerKeyCreate', { params: place, body: { provider, name: 'default', secret } })
  const made = await client.call('keyCreate', { params: place, body: { name: 'bench', scopes: ['llm:call'] } })
  return made.secret
}

/** Connects an account and makes a key, as the owner and the end user do: typed client, hosted page, code flow. */
export async function connectAccount(gateway: Gateway): Promise<Access> {
  const { browser, client, place } = await signIn(gateway)
  await client.call('integrationCreate', {
    params: place,
    body: { slug: 'github', provider: 'github', client_id: 'bench-client', client_secret: 'bench-client-secret' },
  })
  const { session, link } = await client.call('connectSessionCreate', {
    params: place,
    body: { integration: 'github', end_user_id: 'bench' },
  })
  const authorization = await fetch(await submitFirstForm(browser, link), { redirect: 'manual' })
  const callback = await browser(authorization.headers.get('location') ?? '')
  await callback.body?.cancel()
  const { status, failure, connection } = await client.call('connectSessionGet', { params: { ...place, session: session.id } })
  if (status !== 'completed' || connection === null) throw new Error(`Connecting the benchmark's account ended as ${failure ?? status}.`)
  const { secret } = await client.call('keyCreate', { params: place, body: { name: 'bench', scopes: ['proxy:call'] } })
  return { key: secret, connection }
}

function configFor({ oauth, api }: GatewayOptions['origins']): object {
  return {
    egress: { insecureAllowOrigins: [oauth, api] },
    providers: {
      github: {
        authorizationEndpoint: `${oauth}/authorize`,
        tokenEndpoint: `${oauth}/token`,
        userinfoEndpoint: `${api}/user`,
        apiBase: api,
      },
    },
  }
}

/** The reader's own settings must not become part of what is measured. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('SALLYPORT_')))
}

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
