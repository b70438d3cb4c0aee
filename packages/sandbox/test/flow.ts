/** An application that connects to a sandbox provider by plain HTTP, for the tests of this package. */
import { createHash, randomBytes } from 'node:crypto'
import { signIn, type SandboxProvider } from '../src/index.ts'

export const CALLBACK = 'http://127.0.0.1:7255/oauth/cb/ctx_for_tests'

export interface Pkce {
  verifier: string
  challenge: string
}

export function pkce(): Pkce {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

/** The authorization URL, with `changes` over a correct request; null takes a parameter out. */
export function authorizationUrl(provider: SandboxProvider, challenge: string, changes: Record<string, string | null> = {}): string {
  const url = new URL(provider.authorizationEndpoint)
  const parameters = {
    response_type: 'code',
    client_id: provider.clientId,
    redirect_uri: CALLBACK,
    scope: 'openid email',
    state: 'state-of-the-application',
    access_type: 'offline',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...changes,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== null) url.searchParams.set(name, value)
  return url.href
}

export async function codeFor(provider: SandboxProvider, challenge: string, user = provider.users[0] ?? ''): Promise<string> {
  const redirected = new URL(await signIn(authorizationUrl(provider, challenge), user))
  return redirected.searchParams.get('code') ?? ''
}

/** Calls the token endpoint; `changes` over the client's credentials and a code exchange, null takes a field out. */
export async function askToken(
  provider: SandboxProvider,
  changes: Record<string, string | null>,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const form = new URLSearchParams()
  const fields = {
    grant_type: 'authorization_code',
    client_id: provider.clientId,
    client_secret: provider.clientSecret,
    redirect_uri: CALLBACK,
    ...changes,
  }
  for (const [name, value] of Object.entries(fields)) if (value !== null) form.set(name, value)
  const response = await fetch(provider.tokenEndpoint, { method: 'POST', body: form, headers: { accept: 'application/json' } })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** A whole connect; gives the token answer. */
export async function connect(provider: SandboxProvider, user?: string): Promise<Record<string, unknown>> {
  const { verifier, challenge } = pkce()
  const { body } = await askToken(provider, { code: await codeFor(provider, challenge, user), code_verifier: verifier })
  return body
}

export async function userInfo(provider: SandboxProvider, token: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(provider.userinfoEndpoint, { headers: { authorization: `Bearer ${String(token)}` } })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
