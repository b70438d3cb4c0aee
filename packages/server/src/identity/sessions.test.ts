import { describe, expect, it } from 'vitest'
import { ManualClock, newId, SallyportError, Secret, sha256 } from '@sallyport/core'
import type { Role } from '@sallyport/contract'
import type { OrgId, UserId } from '@sallyport/core'
import type { Change, ChangeListener, SignIn } from '../db/index.ts'
import { createSessions, newToken } from './sessions.ts'
import type { SessionLimits } from './sessions.ts'

/** The database's side of the port: links and sessions by hash, with a clock of its own. */
class FakeSessions {
  readonly links = new Map<string, UserId>()
  readonly sessions = new Map<string, { userId: UserId; expiresAt: Date; signIn: SignIn }>()
  memberships: Map<OrgId, Role> = new Map()
  lookups = 0
  down = false
  before: () => Promise<void> = () => Promise.resolve()
  readonly #clock: ManualClock

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  now(): Date {
    return new Date(Date.UTC(2030, 5, 1) + this.#clock.monotonic())
  }

  async sessionOpen({ linkHash, sessionHash, ttlSeconds }: { linkHash: Uint8Array; sessionHash: Uint8Array; ttlSeconds: number }) {
    this.#reach()
    const userId = this.links.get(text(linkHash))
    if (userId === undefined) return undefined
    this.links.delete(text(linkHash))
    const expiresAt = new Date(this.now().getTime() + ttlSeconds * 1000)
    this.sessions.set(text(sessionHash), { userId, expiresAt, signIn: BY_LINK })
    return Promise.resolve({ userId, name: 'P', expiresAt })
  }

  async sessionLookup(hash: Uint8Array) {
    this.lookups += 1
    this.#reach()
    const session = this.sessions.get(text(hash))
    const now = this.now()
    await this.before()
    const standings = [...this.memberships].map(([org, role]) => ({ org, role, signIn: null }))
    return session && session.expiresAt > now ? { ...session, name: 'P', email: null, now, signIn: session.signIn, standings } : undefined
  }

  async sessionOpenAs({
    person,
    sessionHash,
    ttlSeconds,
    signIn,
  }: {
    person: UserId
    sessionHash: Uint8Array
    ttlSeconds: number
    signIn: SignIn
  }) {
    this.#reach()
    const expiresAt = new Date(this.now().getTime() + ttlSeconds * 1000)
    this.sessions.set(text(sessionHash), { userId: person, expiresAt, signIn })
    return Promise.resolve({ userId: person, name: 'P', expiresAt })
  }

  async sessionClose(hash: Uint8Array) {
    this.#reach()
    return Promise.resolve(this.sessions.delete(text(hash)))
  }

  #reach(): void {
    if (this.down) throw new SallyportError('database_unavailable', 'gone')
  }
}

const BY_LINK: SignIn = {
  issuer: 'local',
  methods: ['link'],
  assurance: 'aal2',
  provider: null,
  issuerSession: null,
  authenticatedAt: new Date(0),
}
const STRANGER = '192.0.2.1'
const NOBODYS = '00000000-0000-0000-0000-000000000000' as OrgId

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

function setup(limits: Partial<SessionLimits> = {}, linkAssurance: SignIn['assurance'] = 'aal2') {
  const clock = new ManualClock()
  const store = new FakeSessions(clock)
  let tell: ChangeListener = () => undefined
  const onChange = (listener: ChangeListener) => {
    tell = listener
    return () => undefined
  }
  const sessions = createSessions({ lookups: store, onChange, clock, linkAssurance, limits })
  const link = () => {
    const token = newToken()
    store.links.set(text(sha256(token)), newId('user'))
    return token
  }
  return { clock, store, sessions, link, tell: (change: Change) => tell(change) }
}

describe('sessions', () => {
  it('J-19 opens each session with a fresh token, of which the database has the hash alone', async () => {
    const { sessions, store, link } = setup()
    const [first, second] = [await sessions.openWithLink(link()), await sessions.openWithLink(link())]
    expect(first.token.reveal()).not.toBe(second.token.reveal())
    expect(first.token.reveal()).toMatch(/^[\w-]{43}$/)
    expect([...store.sessions.keys()]).toEqual([first, second].map(({ token }) => text(sha256(token))))
  })

  it.each(['aal1', 'aal2'] as const)(
    'by a link are worth what the installation says, also those that are there already: %s',
    async (worth) => {
      const { sessions, link } = setup({}, worth)
      const { token } = await sessions.openWithLink(link())
      expect((await sessions.lookup(token))?.signIn).toMatchObject({ issuer: 'local', methods: ['link'], assurance: worth })
    },
  )

  it('J-11 of a person, or of a session at an issuer, that has ended elsewhere are read again at once, and no others', async () => {
    const { sessions, store, tell } = setup()
    const at = (byte: number): SignIn => ({ ...BY_LINK, issuerSession: Buffer.alloc(32, byte) })
    const [one, other] = [newId('user'), newId('user')]
    const by = (byte: number) => ({ signIn: at(byte), issuedAt: new Date(), sessionS: 60 })
    const tokens = [(await sessions.openAs(one, by(1))).token, (await sessions.openAs(other, by(2))).token]
    const read = async () => {
      const before = store.lookups
      for (const token of tokens) await sessions.lookup(token)
      return store.lookups - before
    }
    expect([await read(), await read()]).toEqual([2, 0])
    tell({ table: 'sign_in', org: NOBODYS, id: '01010101-0101-0101-0101-010101010101' })
    expect(await read()).toBe(1)
    tell({ table: 'person', org: NOBODYS, id: other })
    expect(await read()).toBe(1)
    tell({ table: 'person', org: NOBODYS, id: newId('user') })
    expect(await read()).toBe(0)
  })

  it('opens one session for a link, however many present it', async () => {
    const { sessions, link } = setup()
    const token = link()
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => sessions.openWithLink(token)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await sessions.openWithLink(token).catch((error: unknown) => error)).toMatchObject({ code: 'unauthenticated' })
  })

  it.each(['', 'x', 'é'.repeat(43), `${'a'.repeat(43)}\n`, 'a'.repeat(1_000_000)])(
    'refuses text that is no token without asking the database',
    async (odd) => {
      const { sessions, store } = setup()
      expect(await sessions.lookup(new Secret(odd))).toBeUndefined()
      expect(await sessions.openWithLink(new Secret(odd)).catch((error: unknown) => error)).toMatchObject({ code: 'unauthenticated' })
      expect(await sessions.close(new Secret(odd))).toBe(false)
      expect(store.lookups).toBe(0)
    },
  )

  it('gives the person with its roles, at most five seconds old', async () => {
    const { sessions, store, clock, link } = setup()
    const org = newId('org')
    store.memberships = new Map([[org, 'ADMIN']])
    const { token, person } = await sessions.openWithLink(link())
    const found = await sessions.lookup(token)
    expect(found).toMatchObject({ kind: 'person', userId: person.userId, memberships: new Map([[org, 'ADMIN']]) })
    expect(found?.sessionHash).toEqual(sha256(token))
    store.memberships = new Map([[org, 'VIEWER']])
    clock.advance(4_999)
    expect(await sessions.lookup(token)).toBe(found)
    clock.advance(1)
    expect((await sessions.lookup(token))?.memberships.get(org)).toBe('VIEWER')
    expect(store.lookups).toBe(2)
  })

  it('gives nothing for a role that this version does not know', async () => {
    const { sessions, store, link } = setup()
    store.memberships = new Map([[newId('org'), 'EMPEROR' as Role]])
    const { token } = await sessions.openWithLink(link())
    expect((await sessions.lookup(token))?.memberships.size).toBe(0)
  })

  it('ends a session here at once', async () => {
    const { sessions, link } = setup()
    const { token } = await sessions.openWithLink(link())
    await sessions.lookup(token)
    expect([await sessions.close(token), await sessions.close(token), await sessions.lookup(token)]).toEqual([true, false, undefined])
  })

  // The risk: a lookup that was answered before the end is remembered after it.
  it('does not remember a session that ended while it was read', async () => {
    const { sessions, store, link } = setup()
    const { token } = await sessions.openWithLink(link())
    let open: () => void = () => undefined
    const passed = new Promise<void>((resolve) => (open = resolve))
    store.before = () => passed
    const late = sessions.lookup(token)
    await sessions.close(token)
    open()
    await late
    expect(await sessions.lookup(token)).toBeUndefined()
  })

  it('follows the database in when a session ends, whatever the node clock says', async () => {
    const { sessions, clock, link } = setup({ ttlS: 2 })
    const { token } = await sessions.openWithLink(link())
    clock.step(-120_000)
    clock.advance(1_999)
    expect(await sessions.lookup(token)).toBeDefined()
    clock.advance(1)
    expect(await sessions.lookup(token)).toBeUndefined()
  })

  it('asks once for callers at the same moment, and bounds how much is asked at once', async () => {
    const { sessions, store, link } = setup({ maxLookupsInFlight: 1 })
    const { token } = await sessions.openWithLink(link())
    const many = Promise.all(Array.from({ length: 20 }, () => sessions.lookup(token)))
    const strangers = [sessions.lookup(newToken(), STRANGER), sessions.lookup(newToken(), '192.0.2.2').catch((error: unknown) => error)]
    expect(await Promise.all(strangers)).toEqual([undefined, expect.objectContaining({ code: 'overloaded', retryAfterS: 1 })])
    expect(new Set(await many).size).toBe(1)
    expect(store.lookups).toBe(2)
  })

  it('D-01 looks up what was a session here, whatever strangers send at the same moment', async () => {
    const { sessions, store, clock, link } = setup({ maxLookupsInFlight: 1, failureBurst: 1, failuresPerSecond: 1 })
    const { token } = await sessions.openWithLink(link())
    let open: () => void = () => undefined
    const passed = new Promise<void>((resolve) => (open = resolve))
    store.before = () => passed
    const stranger = sessions.lookup(newToken(), STRANGER)
    const refused = await sessions.lookup(newToken(), '192.0.2.2').catch((error: unknown) => error)
    const own = sessions.lookup(token, STRANGER)
    open()
    expect([await stranger, refused]).toEqual([undefined, expect.objectContaining({ code: 'overloaded' })])
    expect(await own).toBeDefined()
    // Read again when its age is over, also behind an address that is over its budget.
    clock.advance(5_001)
    await sessions.lookup(newToken(), STRANGER)
    expect(await sessions.lookup(newToken(), STRANGER).catch((error: unknown) => error)).toMatchObject({ code: 'overloaded' })
    expect(await sessions.lookup(token, STRANGER)).toBeDefined()
  })

  it('D-01 asks the database for no more unknown tokens of one address than its budget, and for those of others still', async () => {
    const { sessions, store, clock } = setup({ failureBurst: 3, failuresPerSecond: 1 })
    const attempt = (address: string) => sessions.lookup(newToken(), address).catch((error: { code: string }) => error.code)
    const outcomes = []
    for (let sent = 0; sent < 20; sent++) outcomes.push(await attempt(STRANGER))
    expect(outcomes).toEqual([...Array<undefined>(3).fill(undefined), ...Array<string>(17).fill('overloaded')])
    expect(await attempt('192.0.2.2')).toBeUndefined()
    expect(store.lookups).toBe(4)
    clock.advance(1_000)
    expect([await attempt(STRANGER), await attempt(STRANGER)]).toEqual([undefined, 'overloaded'])
  })

  it('says so when the database is away, and nobody is anybody then', async () => {
    const { sessions, store, link } = setup()
    const { token } = await sessions.openWithLink(link())
    store.down = true
    for (const call of [sessions.lookup(token), sessions.openWithLink(newToken()), sessions.close(token)]) {
      expect(await call.catch((error: unknown) => error)).toMatchObject({ code: 'database_unavailable', retryAfterS: 1 })
    }
  })
})
