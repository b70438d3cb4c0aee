/** Owns how this application takes a credential back at its provider, by the scheme. Refuses to call what no call can take back an outage. */
import type { Clock } from '../kernel/index.ts'
import { revokeTokens } from '../oauth/index.ts'
import type { OutboundFetch, RevokeAnswer } from '../oauth/index.ts'
import { revokeOAuth1, signingFetch } from '../oauth1/index.ts'
import type { TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import type { SigningScheme } from './schemes.ts'

export interface TakingBack {
  /** Newest first. */
  readonly sets: readonly TokenSet[]
  /** See `Revoking`. */
  readonly accountShared: boolean
  readonly fetch: OutboundFetch
  readonly clock: Clock
}

/** Never throws for what a provider does. */
export async function takeBack({ record, scheme }: ConfiguredProvider, taking: TakingBack): Promise<RevokeAnswer> {
  if (scheme.kind === 'oauth1') return takeBackSigned(scheme, taking)
  // A key is its owner's: it ends where it was made.
  if (!('server' in scheme)) return { kind: 'impossible', reason: 'no_way' }
  const { sets, accountShared, fetch, clock } = taking
  return revokeTokens({
    way: record.revocation,
    client: scheme.client,
    refreshTokens: sets.flatMap(({ refreshToken }) => refreshToken ?? []),
    accessTokens: sets.map(({ accessToken }) => accessToken),
    accountShared,
    fetch,
    now: clock.now(),
  })
}

async function takeBackSigned({ client, revocationEndpoint }: SigningScheme, { sets, fetch, clock }: TakingBack): Promise<RevokeAnswer> {
  if (revocationEndpoint === undefined) return { kind: 'impossible', reason: 'no_way' }
  let answer: RevokeAnswer = { kind: 'done' }
  for (const tokens of sets) {
    if (tokens.tokenType !== 'oauth1') continue
    const signed = signingFetch(fetch, client, { token: tokens.accessToken, tokenSecret: tokens.tokenSecret }, clock)
    answer = await revokeOAuth1(revocationEndpoint, signed, clock.now())
    if (answer.kind === 'retry') return answer
  }
  return answer
}
