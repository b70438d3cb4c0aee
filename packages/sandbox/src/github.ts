/** The sandbox GitHub: one OAuth app, one main user with enough repositories to page through, and GitHub's own error shapes. */
import type { SeedConfig } from 'emulate'
import { basicClient, json, type Answer, type Provider, type TokenAnswer, type TokenFault } from './provider.ts'

const DOCS = 'https://docs.github.com/rest'

/** Default pages hold 30, so 37 repositories always need a second one. */
const REPOSITORIES = 37

export const GITHUB_USERS = ['octo-sandbox', 'second-sandbox'] as const

/** GitHub answers token errors with 200; a client must read the body. */
const TOKEN_ERRORS: Record<TokenFault, [code: string, description: string]> = {
  bad_client: ['incorrect_client_credentials', 'The client_id and/or client_secret passed are incorrect.'],
  bad_code: ['bad_verification_code', 'The code passed is incorrect or expired.'],
  bad_refresh_token: ['bad_refresh_token', 'The refresh token passed is incorrect or expired.'],
  bad_verifier: ['bad_verification_code', 'The code_verifier does not match the code_challenge.'],
  bad_redirect: ['redirect_uri_mismatch', 'The redirect_uri is not the one the code was issued for.'],
  bad_request: ['invalid_request', 'The request could not be read.'],
  bad_grant_type: ['unsupported_grant_type', 'This application exchanges authorization codes only.'],
}

/** Stands for missing credentials, so that they are compared and refused like wrong ones. */
const NOBODY = { id: '', secret: '' }

export const github: Provider = {
  name: 'github',
  client: { id: 'sandbox-github-client', secret: 'sandbox-github-secret-not-a-secret' },
  users: GITHUB_USERS,
  userField: 'login',
  paths: { authorize: '/login/oauth/authorize', approve: '/login/oauth/callback', token: '/login/oauth/access_token', userinfo: '/user' },
  strictParameters: false,
  refreshes: false,
  unauthorized: json(401, { message: 'Bad credentials', documentation_url: DOCS, status: '401' }),
  refuse: (fault) => json(200, { error: TOKEN_ERRORS[fault][0], error_description: TOKEN_ERRORS[fault][1] }),
  tokenAnswer,
  revocationAt: { method: 'DELETE', path: /^\/applications\/[^/]+\/(?:token|grant)$/ },
  readRevocation: (request, path, body) => ({
    token: accessTokenOf(body),
    whole: path.endsWith('/grant'),
    client: basicClient(request.headers.authorization) ?? NOBODY,
  }),
  revoked: { status: 204, headers: {}, body: '' },
  unknownRevocation: json(404, { message: 'Not Found', documentation_url: DOCS, status: '404' }),
  // The settings page would take tokens back behind the front, and the emulator would go on answering them as its first user.
  closed: (method, path) => method === 'POST' && /^\/settings\/connections\/applications\/[^/]+\/revoke$/.test(path),
  corrections: {},
}

/** Without a JSON Accept header GitHub answers a form, and it names granted scopes with commas. */
function tokenAnswer(answer: TokenAnswer, _consent: unknown, accept: string): Answer {
  const scope = (answer.scope ?? '')
    .split(/[,\s]+/)
    .filter(Boolean)
    .join(',')
  const body = { access_token: answer.access_token, scope, token_type: 'bearer' }
  if (accept.includes('json')) return json(200, body)
  return {
    status: 200,
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', 'cache-control': 'no-store' },
    body: new URLSearchParams(body).toString(),
  }
}

function accessTokenOf(body: string): string {
  try {
    const token = (JSON.parse(body) as { access_token?: unknown }).access_token
    return typeof token === 'string' ? token : ''
  } catch {
    // Not JSON: no token was named, which the front answers as an unknown one.
    return ''
  }
}

export function githubSeed(redirectUri: string): SeedConfig {
  return {
    // Present and empty, or the emulator accepts a well-known token of its own.
    tokens: {},
    github: {
      users: GITHUB_USERS.map((login) => ({ login, name: login, email: `${login}@sandbox.example` })),
      repos: [...repositories('octo-sandbox', REPOSITORIES), ...repositories('second-sandbox', 2)],
      oauth_apps: [
        { client_id: github.client.id, client_secret: github.client.secret, name: 'Sallyport sandbox', redirect_uris: [redirectUri] },
      ],
    },
  }
}

function repositories(owner: string, count: number): { owner: string; name: string; description: string; language: string }[] {
  return Array.from({ length: count }, (_, index) => ({
    owner,
    name: `${owner}-repo-${String(index + 1).padStart(2, '0')}`,
    description: `Sandbox repository ${index + 1} of ${count}`,
    language: 'TypeScript',
  }))
}
