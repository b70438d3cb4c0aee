/**
 * Owns the stage of tests of model calls: a gateway whose providers of models are one loopback API that the test answers for, with a kept key of each. Everything goes
 * through the typed client and plain HTTP, as users do it.
 */
import type { Scope } from '@sallyport/contract'
import { createKey, signInOwner, startGatewayProcess, startUpstream } from '@sallyport/testkit'
import type { GatewayProcess, Owner, Upstream } from '@sallyport/testkit'

export interface ModelStage {
  readonly gateway: GatewayProcess
  readonly upstream: Upstream
  readonly owner: Owner
  /** A gateway key with `llm:call` and nothing else. */
  readonly key: string
  call(path: string, init?: RequestInit): Promise<Response>
  keyWith(scopes: Scope[]): Promise<string>
  close(): Promise<void>
}

/** By provider: what is kept in its environment. Made up, and long enough to be found wherever it would show. */
export const KEPT = {
  openai: 'not-a-real-openai-key-77aa',
  anthropic: 'not-a-real-anthropic-key-88bb',
  gemini: 'not-a-real-gemini-key-99cc',
  cohere: 'not-a-real-cohere-key-00dd',
} as const

export interface ModelStageSettings {
  readonly postgresUrl: string | undefined
  readonly egress?: object
  readonly file?: object
  readonly variables?: Readonly<Record<string, string>>
}

export async function setModelStage(settings: ModelStageSettings): Promise<ModelStage> {
  const upstream = await startUpstream()
  const base = upstream.origin
  const gateway = await startGatewayProcess({
    postgresUrl: settings.postgresUrl,
    ...(settings.variables === undefined ? {} : { variables: settings.variables }),
    file: {
      egress: { insecureAllowOrigins: [upstream.origin], ...settings.egress },
      breaker: { failures: 1_000_000 },
      models: {
        providers: [
          ...Object.keys(KEPT).map((id) => ({ id, base })),
          { id: 'groq', base },
          { id: 'azure-openai', base },
          { id: 'bedrock', base },
          { id: 'vertex', base, tokenEndpoint: `${base}/token` },
          { id: 'local', base: `${base}/deep/v1`, injection: { name: 'x-local-key', template: 'Key {token}' } },
        ],
      },
      ...settings.file,
    },
  })
  const owner = await signInOwner(gateway)
  for (const [provider, secret] of Object.entries(KEPT)) await keepKey(owner, { provider, secret })
  const key = await createKey(owner, ['llm:call'])
  return {
    gateway,
    upstream,
    owner,
    key,
    call: (path, init) => fetch(`${gateway.url}${path}`, { redirect: 'manual', headers: { authorization: `Bearer ${key}` }, ...init }),
    keyWith: (scopes) => createKey(owner, scopes),
    async close() {
      await gateway.stop()
      await upstream.close()
    },
  }
}

/** Keeps a key in the owner's environment; gives its id. */
export async function keepKey(
  owner: Owner,
  {
    provider,
    secret,
    name = 'default',
    settings = {},
  }: { provider: string; secret: string; name?: string; settings?: Record<string, string> },
): Promise<string> {
  const { id } = await owner.client.call('providerKeyCreate', { params: owner.place, body: { provider, name, secret, settings } })
  return id
}
