import { afterEach, describe, expect, it } from 'vitest'
import {
  createEgress,
  createLogger,
  createMemoryLeases,
  createMemoryStore,
  createRefresher,
  CredentialMemory,
  DEFAULT_EGRESS_POLICY,
  refreshTokens,
  Secret,
} from '@sallyport/core'
import type { Refresher, TokenSet } from '@sallyport/core'
import { startEmulated, startOidcProvider } from '@sallyport/testkit'
import type { OtherIssuer } from '@sallyport/testkit'

const cleanups: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

const REF = { scope: 'app', id: 'user-1' }

const expired = ({ refresh_token }: { refresh_token: string }): TokenSet => ({
  accessToken: new Secret('from-before'),
  refreshToken: new Secret(refresh_token),
  tokenType: 'bearer',
  expiresAt: 1,
  scopes: [],
  extra: new Secret('{}'),
})

/** Two refreshers that stand for two processes on one store, and how often they asked the issuer. */
function twoNodes(issuer: OtherIssuer): {
  nodes: readonly [Refresher, Refresher]
  connect: (tokens: TokenSet) => Promise<unknown>
  calls: () => number
} {
  const [memory, held] = [new CredentialMemory(), new Map<string, object>()]
  const encryption = { key: '1f'.repeat(16) + '2e'.repeat(16) }
  const egress = createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [new URL(issuer.tokenEndpoint).origin] })
  cleanups.push(() => egress.close())
  let calls = 0
  const server = {
    issuer: issuer.issuer,
    responseIssuer: 'checked',
    authorizationEndpoint: `${issuer.issuer}/authorize`,
    tokenEndpoint: issuer.tokenEndpoint,
    tokenAuth: 'client_secret_post',
    scopeSeparator: ' ',
    authorizationParams: {},
    tokenQuirks: [],
  } as const
  const client = { clientId: issuer.clientId, clientSecret: new Secret(issuer.clientSecret) }
  const node = (name: string): Refresher => {
    const refresher = createRefresher({
      store: createMemoryStore({ memory, encryption }),
      leases: createMemoryLeases(held),
      endpoint: async () => ({
        provider: issuer.name,
        rotation: { kind: 'strict' },
        requestLifetimeMs: 5_000,
        refresh: (parent, call) => {
          calls += 1
          return refreshTokens({ server, client, parent, fetch: (url, request) => egress.fetch(url, request), ...call })
        },
      }),
      logger: createLogger({ level: 'silent', format: 'json' }),
      node: name,
    })
    cleanups.push(() => refresher.close())
    return refresher
  }
  return {
    nodes: [node('a'), node('b')],
    connect: (tokens) => createMemoryStore({ memory, encryption }).connect(REF, tokens),
    calls: () => calls,
  }
}

const ISSUERS: readonly (readonly [string, () => Promise<OtherIssuer>])[] = [
  ['oidc-provider', startOidcProvider],
  ['the emulated Microsoft', () => startEmulated('microsoft')],
  ['the emulated Okta', () => startEmulated('okta')],
  ['the emulated Linear', () => startEmulated('linear')],
]

async function started(start: () => Promise<OtherIssuer>): Promise<OtherIssuer> {
  const issuer = await start()
  cleanups.push(() => issuer.close())
  return issuer
}

// Counterparts that others wrote: our own issuer could share our misunderstandings.
describe('refreshing at issuers that others wrote', () => {
  it.each(ISSUERS)('F-02 F-06 asks %s once for 100 callers on two nodes, and again for each rotation', async (_name, start) => {
    const issuer = await started(start)
    const { nodes, connect, calls } = twoNodes(issuer)
    await connect(expired(await issuer.consent()))
    const storm = await Promise.all(Array.from({ length: 100 }, (_, caller) => nodes[caller % 2]!.fresh(REF)))
    expect(calls()).toBe(1)
    const shown = new Set(storm.map(({ tokens }) => tokens.refreshToken!.reveal()))
    expect(shown.size).toBe(1)
    for (let turn = 0; turn < 6; turn++) shown.add((await nodes[turn % 2]!.refreshNow(REF)).tokens.refreshToken!.reveal())
    expect(shown.size).toBe(7)
    expect(calls()).toBe(7)
  })

  it.each(ISSUERS)('F-15 calls a grant of %s over, once, when its refresh token is no longer taken', async (_name, start) => {
    const issuer = await started(start)
    const { nodes, connect, calls } = twoNodes(issuer)
    const { refresh_token } = await issuer.consent()
    await connect(expired({ refresh_token: `${refresh_token.slice(0, -4)}AAAA` }))
    for (const node of nodes) await expect(node.fresh(REF)).rejects.toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired' })
    expect(calls()).toBe(1)
  })
})
