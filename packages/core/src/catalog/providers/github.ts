/** GitHub's OAuth apps. https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps */
import type { z } from 'zod'
import type { providerSchema } from '../schema.ts'

export const github: z.input<typeof providerSchema> = {
  id: 'github',
  name: 'GitHub',
  docs: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps',
        shows: ['authorization', 'token', 'client', 'device', 'account', 'api'],
      },
      { page: 'https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps', shows: ['scopes'] },
      {
        page: 'https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens',
        shows: ['rotation', 'idle'],
      },
      { page: 'https://github.com/octokit/oauth-methods.js', dated: '2026-06-15', shows: ['revocation'] },
    ],
  },
  notes: [
    'Tokens of OAuth apps do not expire; those of GitHub Apps live eight hours.',
    "Devices have to be allowed in the application's settings.",
  ],
  oauth: {
    // Sent as `iss` with its answers at times, but GitHub publishes no metadata that promises it: checked when it is there.
    issuer: 'https://github.com/login/oauth',
    responseIssuer: 'checked',
    authorizationEndpoint: 'https://github.com/login/oauth/authorize',
    tokenEndpoint: 'https://github.com/login/oauth/access_token',
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    deviceAuthorizationEndpoint: 'https://github.com/login/device/code',
    tokenQuirks: ['form_answer', 'error_in_success'],
  },
  userinfo: {
    url: 'https://api.github.com/user',
    method: 'GET',
    idPath: ['id'],
    labelPath: ['login'],
    headers: { accept: 'application/vnd.github+json', 'user-agent': 'sallyport' },
  },
  api: {
    base: 'https://api.github.com',
    // Counts against no limit: https://docs.github.com/en/rest/rate-limit/rate-limit
    probe: { method: 'GET', path: '/rate_limit' },
    // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api and .../rest/rate-limit/rate-limit: answers name the resource
    quota: {
      by: 'resource',
      header: 'x-ratelimit-resource',
      paths: [
        { under: '/search/code', resource: 'code_search' },
        { under: '/search', resource: 'search' },
        { under: '/graphql', resource: 'graphql' },
        { under: '/app-manifests', resource: 'integration_manifest' },
      ],
      otherwise: 'core',
    },
    injection: { kind: 'header', name: 'authorization', template: 'Bearer {token}' },
    // GitHub answers 403 to calls that name no agent.
    defaultHeaders: { 'user-agent': 'sallyport' },
  },
  defaultScopes: ['read:user', 'repo'],
  // GitHub names only the outermost scope of those granted.
  scopeContents: {
    repo: ['repo:status', 'repo_deployment', 'public_repo', 'repo:invite', 'security_events'],
    user: ['read:user', 'user:email', 'user:follow'],
    'admin:org': ['write:org'],
    'write:org': ['read:org'],
    'admin:public_key': ['write:public_key'],
    'write:public_key': ['read:public_key'],
    'admin:repo_hook': ['write:repo_hook'],
    'write:repo_hook': ['read:repo_hook'],
    'admin:gpg_key': ['write:gpg_key'],
    'write:gpg_key': ['read:gpg_key'],
    project: ['read:project'],
    'write:packages': ['read:packages'],
  },
  // https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
  features: {
    'profile.read': [],
    'repositories.read': ['repo'],
    'starred.read': [],
    'issues.read': ['repo'],
    'notifications.read': ['notifications'],
  },
  // Tokens of OAuth apps do not expire and are not refreshed. Those of GitHub Apps are, and a refresh token that was used works no more:
  // https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/refreshing-user-access-tokens
  rotation: { kind: 'strict' },
  // Six months from when it was given; a refresh gives a new one.
  grant: { idleDays: 180 },
  // https://docs.github.com/en/rest/apps/oauth-applications: the client deletes the account's whole grant, or one token of it.
  revocation: {
    kind: 'client_delete',
    grant: 'https://api.github.com/applications/{client_id}/grant',
    token: 'https://api.github.com/applications/{client_id}/token',
  },
  requestLifetimeMs: 30_000,
  origins: ['https://github.com', 'https://api.github.com'],
}
