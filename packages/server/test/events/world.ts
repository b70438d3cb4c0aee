/** Owns a node that receives events over HTTP, issuers that sign them, and a second node that remembers connections as the data plane does. */
import { createHmac } from 'node:crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWK } from 'jose'
import { createKeySets, createLogger, formatId, resolveProvider, systemClock } from '@sallyport/core'
import type { CredentialRef } from '@sallyport/core'
import { createEventService } from '../../src/events/index.ts'
import type { EventService, MadeSource, NewSource } from '../../src/events/index.ts'
import { createHttpServer } from '../../src/http/index.ts'
import { createTargetCache } from '../../src/proxy/index.ts'
import type { TargetWanted } from '../../src/proxy/index.ts'
import { createRevocationWorld, makeRevocableTenant } from '../revocation/world.ts'
import type { RevocableTenant, RevocationWorld } from '../revocation/world.ts'

export const ISSUER = 'https://issuer.example'
/** Addresses of keys below it are asked and never answer. */
export const SILENT = 'https://silent.example/'
export const EVENT = {
  sessionRevoked: 'https://schemas.openid.net/secevent/caep/event-type/session-revoked',
  credentialChange: 'https://schemas.openid.net/secevent/caep/event-type/credential-change',
  accountDisabled: 'https://schemas.openid.net/secevent/risc/event-type/account-disabled',
  accountEnabled: 'https://schemas.openid.net/secevent/risc/event-type/account-enabled',
  tokensRevoked: 'https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked',
  verification: 'https://schemas.openid.net/secevent/ssf/event-type/verification',
  riscVerification: 'https://schemas.openid.net/secevent/risc/event-type/verification',
  streamUpdated: 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated',
} as const

export interface Sent {
  readonly status: number
  readonly text: string
  readonly headers: Headers
}

export interface EventWorld {
  readonly revocation: RevocationWorld
  readonly service: EventService
  readonly tenant: RevocableTenant
  /** What was to be renewed. */
  readonly renewed: readonly CredentialRef[]
  /** How often the issuer was asked for its keys. */
  readonly fetches: () => number
  /** Addresses of keys that were asked. */
  readonly asked: readonly string[]
  /** False: the issuer's keys can't be had. */
  reachable(value: boolean): void
  /** Lets the issuer whose keys were asked for at `SILENT` and never came fail at last. */
  endSilence(): void
  readonly key: CryptoKey
  readonly stranger: CryptoKey
  /** A source of the tenant's integration, or of another tenant's. */
  source(wanted: NewSource, of?: RevocableTenant): Promise<MadeSource>
  newTenant(): Promise<RevocableTenant>
  set(claims?: Record<string, unknown>, over?: { readonly header?: Record<string, unknown>; readonly key?: CryptoKey }): Promise<string>
  push(context: string, body: string, headers?: Record<string, string>): Promise<Sent>
  /** What a second node remembers of a connection: undefined when it must be read anew. */
  readonly remembered: { load(wanted: TargetWanted): Promise<unknown>; peek(wanted: TargetWanted): unknown }
  close(): Promise<void>
}

export async function createEventWorld(serverUrl: string): Promise<EventWorld> {
  const revocation = await createRevocationWorld(serverUrl)
  const [one, two] = revocation.nodes
  const { privateKey: key, publicKey } = await generateKeyPair('RS256')
  const { privateKey: stranger } = await generateKeyPair('RS256')
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid: 'key-1', alg: 'RS256', use: 'sig' }
  let fetches = 0
  const asked: string[] = []
  let reachable = true
  const silence = Promise.withResolvers<void>()
  const renewed: CredentialRef[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void revocation.log.push(line) })
  // Keys are asked for at each use, and too old once they can't be had: on a clock that stands still meanwhile, however long the machine takes.
  let ticks = 0
  const keySets = createKeySets({
    clock: { monotonic: () => ticks },
    times: { coolDownMs: 0, freshMs: 0, maxStaleMs: 1 },
    egress: {
      fetch: async (url) => {
        if (String(url).startsWith(SILENT)) {
          await silence.promise
          return new Response('down', { status: 503 })
        }
        fetches += 1
        asked.push(String(url))
        if (!reachable) ticks += 1
        return reachable ? Response.json({ keys: [jwk] }) : new Response('down', { status: 503 })
      },
    },
  })
  const service = createEventService({
    database: one.database,
    vault: one.vault,
    keySets,
    renew: (ref) => void renewed.push(ref),
    onEnded: () => undefined,
    providers: (id) => resolveProvider(id),
    loopbackOrigins: true,
    clock: systemClock,
    logger,
  })
  const http = await createHttpServer({
    stepUp: () => ({ now: Date.now(), maxAgeS: 3_600 }),
    publicUrl: 'http://127.0.0.1:7255',
    trustedProxies: [],
    logger,
    keys: { cached: () => undefined, judge: () => undefined, authenticate: () => Promise.reject(new TypeError('no key is asked here')) },
    keyUses: { note: () => undefined },
    keyGuard: { admit: () => Promise.reject(new TypeError('no key is asked here')) },
    sessions: { lookup: async () => undefined },
    limiter: { admit: () => ({ standard: [], older: [] }) },
    people: { authenticate: () => Promise.reject(new TypeError('nobody comes with a token')) },
    breakGlass: { note: () => undefined },
    crossOrigin: { preflight: () => false, answerFor: () => undefined },
    ready: async () => 'ok',
    dataPlane: () => false,
    register: (app) => service.registerRoutes(app),
    consoleFolder: '/nonexistent',
  })
  const port = await http.listen(0, '127.0.0.1')
  const targets = createTargetCache({
    read: ({ org, project, environment, integration, selector }) =>
      two.database.proxyTarget({
        org,
        project,
        environment,
        slug: integration,
        connection: selector.connection,
        endUserId: selector.endUser,
      }),
    clock: systemClock,
    maxAgeMs: 3_600_000,
    maxAgeAwayMs: 3_600_000,
    patienceMs: 60_000,
    maxEntries: 100,
  })
  const stop = two.database.onChange((change) => targets.drop(change))
  const tenant = await makeRevocableTenant(one)
  return {
    revocation,
    service,
    tenant,
    renewed,
    fetches: () => fetches,
    asked,
    reachable: (value) => (reachable = value),
    endSilence: silence.resolve,
    key,
    stranger,
    source: (wanted, of = tenant) => service.sources.create(of.org, of.place, of.integration, wanted, 'user_of_a_test'),
    newTenant: () => makeRevocableTenant(one),
    async set(claims = {}, { header = {}, key: by = key } = {}) {
      const all = { iss: ISSUER, aud: 'a-client', iat: Math.floor(Date.now() / 1000), jti: crypto.randomUUID(), ...claims }
      const made = new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
      made.setProtectedHeader({ alg: 'RS256', kid: 'key-1', typ: 'secevent+jwt', ...header })
      return made.sign(by)
    },
    async push(context, body, headers = { 'content-type': 'application/secevent+jwt' }) {
      const response = await fetch(`http://127.0.0.1:${port}/events/in/${context}`, { method: 'POST', body, headers })
      return { status: response.status, text: await response.text(), headers: response.headers }
    },
    remembered: targets,
    async close() {
      stop()
      await http.close(5_000)
      await revocation.close()
    },
  }
}

export const hex = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex')

/** An event about one account. */
export const about = (event: string, sub: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  events: { [event]: { subject: { subject_type: 'iss-sub', iss: ISSUER, sub }, ...more } },
})

export const sourceTarget = (id: Parameters<typeof formatId<'esrc'>>[1]): string => formatId('esrc', id)
