import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createKeySets, createLogger, ManualClock, newId, SallyportError, Secret } from '@sallyport/core'
import type { Role } from '@sallyport/contract'
import type { OrgId } from '@sallyport/core'
import { startIdentityProvider } from '../../../testkit/src/identity-provider/index.ts'
import type { IdentityProvider } from '../../../testkit/src/identity-provider/index.ts'
import type { ChangeListener, PersonClaims } from '../db/index.ts'
import { createOutsideIssuers } from './outside-issuers.ts'
import { createPeople } from './people.ts'
import type { People, PeopleLimits } from './people.ts'

let corp: IdentityProvider
let partner: IdentityProvider
/** Resolves the questions for the keys of the partner, which hangs. */
let partnerAnswers: () => void
let clock: ManualClock
let published: unknown
let reachable: boolean
let fetches: number
let people: People
let reads: PersonClaims[]
let ended: Set<string>
let memberships: Map<OrgId, Role>
let closing: Set<OrgId>
let down: boolean
let change: ChangeListener
const log: string[] = []

beforeAll(async () => {
  corp = await startIdentityProvider({ algorithm: 'RS256' })
})
beforeAll(async () => {
  partner = await startIdentityProvider({ algorithm: 'RS256' })
})
afterAll(() => Promise.all([corp.close(), partner.close()]))

beforeEach(() => make())

function make(limits: Partial<PeopleLimits> = {}): void {
  clock = new ManualClock(Date.now())
  published = { keys: [corp.current.jwk] }
  reachable = true
  fetches = 0
  reads = []
  ended = new Set()
  memberships = new Map()
  closing = new Set()
  down = false
  log.length = 0
  const { promise: partnerAnswered, resolve } = Promise.withResolvers<void>()
  partnerAnswers = resolve
  const fetchKeys = async (url: unknown) => {
    if (String(url) === partner.keysUri) {
      await partnerAnswered
      return Response.json({ keys: [partner.current.jwk] })
    }
    fetches += 1
    if (!reachable) throw new SallyportError('upstream_unreachable', 'gone')
    return Promise.resolve(Response.json(published))
  }
  const issuers = createOutsideIssuers({
    issuers: [corp, partner].map(({ issuer, keysUri }) => ({
      issuer,
      kind: 'oidc' as const,
      audiences: ['https://gateway.test'],
      keysUri,
      emailDomains: [],
      secondFactors: [],
      maxTokenAgeS: 172_800,
      sessionS: 3_600,
    })),
    secrets: undefined,
    keySets: createKeySets({ egress: { fetch: fetchKeys }, clock }),
  })
  const lookups = {
    personSignIn: async (claims: PersonClaims) => {
      if (down) throw new SallyportError('database_unavailable', 'gone')
      reads.push(claims)
      const over = claims.issuerSession !== null && ended.has(claims.issuerSession.toString('hex'))
      const standings = [...memberships].map(([org, role]) => ({ org, role, signIn: null, closing: closing.has(org) }))
      return Promise.resolve({ userId: claims.id, name: claims.name, email: claims.email, ended: over, now: new Date(), standings })
    },
    signInEnd: async (session: Uint8Array) => {
      ended.add(Buffer.from(session).toString('hex'))
      return Promise.resolve(true)
    },
  }
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const onChange = (listener: ChangeListener) => {
    change = listener
    return () => undefined
  }
  people = createPeople({ issuers, lookups, onChange, clock, logger, limits })
}

const HERE = '192.0.2.1'
const outcome = (token: Secret, address = HERE): Promise<string> =>
  people.authenticate(token, address).then(
    () => 'known',
    (error: unknown) => String((error as { code: unknown }).code),
  )
/** Good for two days, by the clock of the test's beginning. */
const longLived = async (subject = 'ada', claims: object = {}): Promise<Secret> =>
  new Secret(await corp.accessToken(subject, { claims: { exp: Math.floor(clock.now() / 1000) + 172_000, ...claims } }))

describe('people by tokens', () => {
  it('J-10 D-05 cost one question for keys in a cool-down, however many tokens name keys that nobody has', async () => {
    make({ failureBurst: 10_000 })
    const forged = await Promise.all(
      Array.from({ length: 1_000 }, async (_, n) => new Secret(await corp.accessToken('eve', { header: { kid: `made-up-${n}` } }))),
    )
    for (let at = 0; at < forged.length; at += 50)
      for (const code of await Promise.all(forged.slice(at, at + 50).map((token) => outcome(token)))) expect(code).toBe('unauthenticated')
    expect(fetches).toBe(1)
    clock.advance(30_000)
    expect(await outcome(forged[0]!)).toBe('unauthenticated')
    expect(fetches).toBe(2)
    expect(await outcome(await longLived())).toBe('known')
  })

  it('are refused unread from an address of too many refusals, and those who are known from there are not', async () => {
    make({ failureBurst: 5 })
    const known = await longLived()
    expect(await outcome(known)).toBe('known')
    for (let n = 0; n < 5; n++) expect(await outcome(await longLived('eve', { aud: `${n}` }))).toBe('unauthenticated')
    expect(await outcome(await longLived('new'))).toBe('overloaded')
    clock.advance(400)
    expect(await outcome(known)).toBe('known')
    expect(await outcome(await longLived('new'), '198.51.100.7')).toBe('known')
  })

  it('are judged no more than so many at once', async () => {
    make({ maxInFlight: 4, maxWaiting: 0 })
    const tokens = await Promise.all(['a', 'b', 'c', 'd'].map((subject) => longLived(subject)))
    expect((await Promise.all(tokens.map((token) => outcome(token)))).toSorted()).toEqual(['known', 'known', 'overloaded', 'overloaded'])
  })

  it('D-05 S96 of one issuer are judged although tokens of another, which hangs, have come by the hundred', async () => {
    make({ failureBurst: 10_000, patienceMs: 60_000 })
    const soon = { claims: { exp: Math.floor(clock.now() / 1000) + 3_600 } }
    const stuck = await Promise.all(Array.from({ length: 200 }, async (_, n) => new Secret(await partner.accessToken(`p${n}`, soon))))
    const waiting = stuck.map((token) => outcome(token, '198.51.100.7'))
    for (let n = 0; n < 10; n++) expect(await outcome(await longLived(`new-${n}`))).toBe('known')
    partnerAnswers()
    const outcomes = await Promise.all(waiting)
    expect(outcomes.filter((one) => one === 'known')).toHaveLength(96)
    expect(outcomes.filter((one) => one === 'overloaded')).toHaveLength(104)
  })

  it('are read again after five seconds, and at once when their membership or organization changes', async () => {
    const token = await longLived()
    const org = newId('org')
    memberships.set(org, 'ADMIN')
    const first = await people.authenticate(token, HERE)
    expect(first.memberships.get(org)).toBe('ADMIN')
    clock.advance(4_999)
    expect(await people.authenticate(token, HERE)).toBe(first)
    memberships.set(org, 'VIEWER')
    clock.advance(1)
    const second = await people.authenticate(token, HERE)
    expect(second.memberships.get(org)).toBe('VIEWER')
    memberships.clear()
    change({ table: 'membership', org, id: second.userId })
    expect((await people.authenticate(token, HERE)).memberships.size).toBe(0)
    expect(reads).toHaveLength(3)
  })

  it('are read again at once when an organization closes, and when it is opened again', async () => {
    const token = await longLived()
    const org = newId('org')
    memberships.set(org, 'OWNER')
    expect((await people.authenticate(token, HERE)).memberships.has(org)).toBe(true)
    closing.add(org)
    change({ table: 'organization', org, id: org })
    expect((await people.authenticate(token, HERE)).memberships.has(org)).toBe(false)
    closing.delete(org)
    change({ table: 'organization', org, id: org })
    expect((await people.authenticate(token, HERE)).memberships.get(org)).toBe('OWNER')
  })

  it('are verified again after a minute, by the keys that their issuer has then', async () => {
    const token = await longLived()
    expect(await outcome(token)).toBe('known')
    published = { keys: [{ ...corp.current.jwk, kid: 'another' }] }
    clock.advance(600_000)
    expect(await outcome(token)).toBe('unauthenticated')
  })

  it('go on by the last good keys for a day while their issuer is away, and are then unavailable, not unknown', async () => {
    const token = await longLived()
    expect(await outcome(token)).toBe('known')
    reachable = false
    clock.advance(86_000_000)
    expect(await outcome(token)).toBe('known')
    clock.advance(400_000)
    expect(await outcome(token)).toBe('jwt_keys_unavailable')
  })

  it('J-08 end with their token, remembered or not', async () => {
    const token = new Secret(await corp.accessToken('ada', { claims: { exp: Math.floor(clock.now() / 1000) + 2 } }))
    expect(await outcome(token)).toBe('known')
    clock.advance(2_000 + 60_000)
    expect(await outcome(token)).toBe('unauthenticated')
  })

  it('end with the session at their issuer, here at once', async () => {
    const token = await longLived('ada', { sid: 'their-session' })
    const { signIn } = await people.authenticate(token, HERE)
    expect(await people.end(signIn)).toBe(true)
    expect(await outcome(token)).toBe('unauthenticated')
    expect(await people.end({ ...signIn, issuerSession: null })).toBe(false)
  })

  it('are unavailable, not unknown, while the database can not be asked', async () => {
    down = true
    expect(await outcome(await longLived())).toBe('database_unavailable')
  })

  it('leave no part of a token in a log or an error', async () => {
    const token = await longLived('canary-subject', { aud: 'canary-audience' })
    const error: unknown = await people.authenticate(token, HERE).catch((refused: unknown) => refused)
    const told = `${inspect(error, { depth: 9 })}${log.join('')}`
    expect(told).toContain('jwt_audience')
    for (const part of ['canary', ...token.reveal().split('.')]) expect(told).not.toContain(part)
  })
})
