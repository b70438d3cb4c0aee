/**
 * Owns token issuers that others wrote and that rotate refresh tokens: the emulated Microsoft, Okta and Linear. Each gives out a first set of
 * tokens through its own authorization page. Refuses to correct them: what they do at the token endpoint is what is tested.
 */
import { randomBytes } from 'node:crypto'
import { readForms } from '@sallyport/sandbox'
import { onFreePort } from '../servers/free-port.ts'

/** An issuer as a refresh grant sees it. */
export interface OtherIssuer {
  readonly name: string
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: string
  /** A person agrees; the members of the token answer. */
  consent(): Promise<TokenMembers>
  close(): Promise<void>
}

export interface TokenMembers {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
}

export type EmulatedName = 'microsoft' | 'okta' | 'linear'

const REDIRECT_URI = 'http://127.0.0.1:1/cb'

interface Emulation {
  readonly authorize: string
  readonly token: string
  readonly scope: string
  /** Its seed, given the client that is to be known. */
  readonly seed: (client: Client) => object
}

interface Client {
  readonly clientId: string
  readonly clientSecret: string
}

const registered = ({ clientId, clientSecret }: Client) => ({
  client_id: clientId,
  client_secret: clientSecret,
  name: 'A test',
  redirect_uris: [REDIRECT_URI],
})

const EMULATIONS: Readonly<Record<EmulatedName, Emulation>> = {
  microsoft: {
    authorize: '/oauth2/v2.0/authorize',
    token: '/oauth2/v2.0/token',
    scope: 'openid offline_access',
    seed: (client) => ({ oauth_clients: [registered(client)] }),
  },
  okta: {
    authorize: '/oauth2/default/v1/authorize',
    token: '/oauth2/default/v1/token',
    scope: 'openid offline_access',
    seed: (client) => ({ oauth_clients: [{ ...registered(client), auth_server_id: 'default' }] }),
  },
  linear: {
    authorize: '/oauth/authorize',
    token: '/oauth/token',
    scope: 'read',
    seed: (client) => ({ oauth_apps: [{ ...registered(client), scopes: ['read'], actor: 'user' }] }),
  },
}

/** On a free loopback port; state lives in memory. */
export async function startEmulated(name: EmulatedName): Promise<OtherIssuer> {
  const { authorize, token, scope, seed } = EMULATIONS[name]
  const client: Client = { clientId: `test-${name}`, clientSecret: `not-a-secret-${randomBytes(8).toString('hex')}` }
  const { createEmulator } = await import('emulate')
  const emulator = await onFreePort((port) =>
    createEmulator({ service: name, port, hostname: '127.0.0.1', seed: { tokens: {}, [name]: seed(client) } }),
  )
  const tokenEndpoint = new URL(token, emulator.url).href
  return {
    name,
    issuer: emulator.url,
    tokenEndpoint,
    ...client,
    async consent() {
      const asked = new URL(authorize, emulator.url)
      asked.search = new URLSearchParams({
        client_id: client.clientId,
        redirect_uri: REDIRECT_URI,
        response_type: 'code',
        scope,
        state: 'state',
      }).toString()
      const code = await agree(asked)
      return await exchange(tokenEndpoint, client, code)
    },
    close: () => emulator.close(),
  }
}

/** Picks the first person of the page. Gives the code. */
async function agree(asked: URL): Promise<string> {
  const page = await (await fetch(asked)).text()
  const form = readForms(page)[0]
  if (form === undefined) throw new Error('the emulated page offers nobody to sign in as')
  const sent = await fetch(new URL(form.action, asked), { method: 'POST', body: new URLSearchParams(form.fields), redirect: 'manual' })
  const code = new URL(sent.headers.get('location') ?? REDIRECT_URI).searchParams.get('code')
  if (code === null) throw new Error(`the emulated page answered ${sent.status} and gave no code`)
  return code
}

async function exchange(tokenEndpoint: string, { clientId, clientSecret }: Client, code: string): Promise<TokenMembers> {
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    client_id: clientId,
    client_secret: clientSecret,
  })
  const answer = await fetch(tokenEndpoint, { method: 'POST', body })
  if (!answer.ok) throw new Error(`the emulated token endpoint answered ${answer.status}`)
  return (await answer.json()) as TokenMembers
}
