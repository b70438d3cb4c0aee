/** Owns docs/providers.md: the catalog in words, made from its records alone. */
import { listProviders } from './catalog.ts'
import { FACTS, statedFacts } from './facts.ts'
import { heldInWords } from './held.ts'
import type { Provider } from './schema.ts'
import { schemesOf } from './schemes.ts'

const INTRODUCTION = `# Providers

Made from the records of the catalog by \`npm run docs\`; a test compares them. A provider is data: its addresses, its ways of leaving the
standard, and what it documents about the life of its tokens. What a provider does not document counts as the strictest case.

Each record is held against what its provider publishes: pages, specifications, programs of its own. What each shows is said, and what none shows.

Minimum scopes are those a feature needs and no more. A wider scope that contains one of them does as well.
`

/** The whole document. */
export function providerReference(): string {
  return [INTRODUCTION, ...listProviders().map(section)].join('\n')
}

function section(provider: Provider): string {
  return [`## ${provider.name}`, '', ...facts(provider).map((fact) => `- ${fact}`), '', ...features(provider), ''].join('\n')
}

function facts(record: Provider): readonly string[] {
  const { id, docs, notes, oauth, api, defaultScopes, rotation, grant, revocation } = record
  return [
    `Id: \`${id}\`. Its own documentation: <${docs}>`,
    `Calls go to \`${api.base}\`. The client proves itself by ${oauth.tokenAuth === 'client_secret_basic' ? 'Basic credentials' : 'its secret in the form'}.`,
    `Schemes, the first unless another is configured: ${schemesOf(record).map(code).join(', ')}.`,
    ...(oauth.tokenBody === 'json' ? ['Requests to the token endpoint are JSON.'] : []),
    ...(oauth.refreshNamesRedirect === true ? ['A refresh names the redirect URI of the sign-in.'] : []),
    ...(oauth.tokenQuirks.length === 0 ? [] : [`Token answers leave the standard: ${oauth.tokenQuirks.map(code).join(', ')}.`]),
    ...(record.api.quota === undefined ? [] : [QUOTA[record.api.quota.by]]),
    `Scopes unless others are configured: ${defaultScopes.map(code).join(', ') || 'none'}.`,
    `A refresh token that was used: ${ROTATION[rotation.kind](rotation.kind === 'grace' ? rotation.seconds : 0)}.`,
    ...(grant === undefined ? [] : [`A grant that is not renewed ends after ${grant.idleDays} days.`]),
    `On disconnect: ${revoked(revocation)}.`,
    ...(notes ?? []),
    ...heldInWords(record.held, statedFacts(record), FACTS),
  ]
}

const ROTATION: Readonly<Record<Provider['rotation']['kind'], (seconds: number) => string>> = {
  none: () => 'goes on working',
  grace: (seconds) => `is taken for ${seconds} more seconds`,
  strict: () => 'counts as spent',
}

const QUOTA: Readonly<Record<NonNullable<Provider['api']['quota']>['by'], string>> = {
  endpoint: 'Calls are counted for each endpoint.',
  resource: 'Calls are counted by resource; answers name it.',
}

function revoked(way: Provider['revocation']): string {
  if (way.kind === 'none') return 'nothing at the provider, which documents no way; tokens are forgotten here'
  if (way.kind === 'client_delete') return 'the grant is deleted at the provider'
  if (way.kind === 'own_token') return 'the access token takes itself and its refresh token back'
  const tokens = way.takes === undefined ? 'both tokens are' : `the ${way.takes} token is`
  return `${tokens} revoked (RFC 7009)${way.reach === 'account' ? ", which ends the account's whole grant" : ''}`
}

function features({ features: offered }: Provider): readonly string[] {
  const rows = Object.entries(offered).map(([feature, scopes]) => `| \`${feature}\` | ${scopes.map(code).join(', ') || 'none'} |`)
  return rows.length === 0 ? [] : ['| Feature | Minimum scopes |', '| --- | --- |', ...rows]
}

function code(text: string): string {
  return `\`${text}\``
}
