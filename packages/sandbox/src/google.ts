/** The sandbox Google: one OAuth client, two users, refresh tokens without rotation, and subjects that survive a restart. */
import { createHash } from 'node:crypto'
import type { SeedConfig } from 'emulate'
import type { IdTokenSigner } from './id-token.ts'
import { json, type Provider, type Revocation, type TokenFault } from './provider.ts'

export const GOOGLE_USERS = ['ada@sandbox.example', 'grace@sandbox.example'] as const

const TOKEN_ERRORS: Record<TokenFault, [status: number, code: string, description: string]> = {
  bad_client: [401, 'invalid_client', 'The OAuth client was not found, or its secret is wrong.'],
  bad_code: [400, 'invalid_grant', 'The code is incorrect, used or expired.'],
  bad_refresh_token: [400, 'invalid_grant', 'Token has been expired or revoked.'],
  bad_verifier: [400, 'invalid_grant', 'The code verifier does not match.'],
  bad_redirect: [400, 'redirect_uri_mismatch', 'The redirect_uri is not the one the code was issued for.'],
  bad_request: [400, 'invalid_request', 'The request could not be read.'],
  bad_grant_type: [400, 'unsupported_grant_type', 'The grant type is not supported.'],
}

export function createGoogle(signer: IdTokenSigner): Provider {
  return {
    name: 'google',
    client: { id: 'sandbox-google-client', secret: 'sandbox-google-secret-not-a-secret' },
    users: GOOGLE_USERS,
    userField: 'email',
    paths: {
      authorize: '/o/oauth2/v2/auth',
      approve: '/o/oauth2/v2/auth/callback',
      token: '/oauth2/token',
      revoke: '/oauth2/revoke',
      userinfo: '/oauth2/v2/userinfo',
    },
    strictParameters: true,
    refreshes: true,
    unauthorized: json(401, {
      error: { code: 401, message: 'Request had invalid authentication credentials.', status: 'UNAUTHENTICATED' },
    }),
    refuse: (fault) => json(TOKEN_ERRORS[fault][0], { error: TOKEN_ERRORS[fault][1], error_description: TOKEN_ERRORS[fault][2] }),
    tokenAnswer(answer, consent) {
      const { refresh_token, id_token, ...rest } = answer
      return json(200, {
        ...rest,
        ...(refresh_token !== undefined && consent.offline ? { refresh_token } : {}),
        ...(id_token === undefined ? {} : { id_token: signer.resign(id_token, { sub: googleSubject(consent.user) }) }),
      })
    },
    revocationAt: { method: 'POST', path: /^\/oauth2\/revoke$/ },
    readRevocation(request, _path, body): Revocation {
      const inQuery = new URL(request.url ?? '/', 'http://sandbox.invalid').searchParams.get('token')
      return { token: new URLSearchParams(body).get('token') ?? inQuery ?? '', whole: true }
    },
    revoked: json(200, {}),
    unknownRevocation: json(400, { error: 'invalid_token', error_description: 'Token expired or revoked' }),
    closed: () => false,
    corrections: {
      '/.well-known/openid-configuration': (body) => ({ ...body, code_challenge_methods_supported: ['S256'] }),
      '/oauth2/v3/certs': () => signer.jwks,
      '/oauth2/v2/userinfo': (body) => (typeof body.email === 'string' ? { ...body, sub: googleSubject(body.email) } : body),
    },
  }
}

/** The emulator draws a new subject at every start; an account must stay the same account, so it is derived from the address (21 digits). */
export function googleSubject(email: string): string {
  const digest = createHash('sha256').update(`sandbox-google-subject:${email}`).digest('hex')
  return String(BigInt(`0x${digest}`) % 10n ** 20n)
    .padStart(20, '0')
    .padStart(21, '1')
}

export function googleSeed(redirectUri: string, client: { id: string; secret: string }): SeedConfig {
  const [first] = GOOGLE_USERS
  return {
    tokens: {},
    google: {
      users: GOOGLE_USERS.map((email) => ({ email, name: `${email.split('@')[0]} Sandbox` })),
      oauth_clients: [{ client_id: client.id, client_secret: client.secret, name: 'Sallyport sandbox', redirect_uris: [redirectUri] }],
      messages: [
        {
          id: 'msg_sandbox_welcome',
          user_email: first,
          from: 'sandbox@sandbox.example',
          to: first,
          subject: 'Welcome to the sandbox',
          body_text: 'Nothing here is real.',
        },
      ],
      calendars: [{ id: 'primary', user_email: first, summary: first, primary: true, selected: true, time_zone: 'UTC' }],
    },
  }
}
