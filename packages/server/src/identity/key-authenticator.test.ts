import { afterEach, describe, expect, it, vi } from 'vitest'
import * as core from '@sallyport/core'
import { createLogger, hmacKey, ManualClock, mintGatewayKey, newId, randomBytes, SallyportError } from '@sallyport/core'
import type { Environment, KeyId } from '@sallyport/core'
import type { Change, ChangeListener, KeyRecord } from '../db/index.ts'
import { IdentityError, REFUSED_KEY } from './identity-error.ts'
import { createKeyAuthenticator } from './key-authenticator.ts'
import type { KeyAuthenticatorLimits } from './key-authenticator.ts'
import { argon2idHasher } from './key-hasher.ts'
import type { KeyHasher } from './key-hasher.ts'
import { RecentMap } from './recent-map.ts'

// The real function, watched: that a dummy is compared when there is no key can't be seen from outside by anything but its cost.
vi.mock('@sallyport/core', async (original) => {
  const actual = await original<typeof core>()
  return { ...actual, digestEquals: vi.fn(actual.digestEquals) }
})

const ADDRESS = '203.0.113.7'
const org = newId('org')
const project = newId('proj')

/** The database's side of the port: rows, a clock of its own, and a plug that can be pulled. */
class FakeKeys {
  readonly rows = new Map<KeyId, KeyRecord>()
  readonly #clock: ManualClock
  lookups = 0
  down = false
  /** Runs before each answer. */
  before: () => Promise<void> = () => Promise.resolve()

  constructor(clock: ManualClock) {
    this.#clock = clock
  }

  /** The database's clock: no step of the node's wall clock reaches it. */
  now(): Date {
    return new Date(Date.UTC(2030, 5, 1) + this.#clock.monotonic())
  }

  async keyLookup(id: KeyId): Promise<KeyRecord | undefined> {
    this.lookups += 1
    if (this.down) throw new SallyportError('database_unavailable', 'gone')
    const row = this.rows.get(id)
    const answer = row && { ...row, now: this.now() }
    await this.before()
    return answer
  }
}

class CountingHasher implements KeyHasher {
  verified = 0
  before: () => Promise<void> = () => Promise.resolve()

  hash: KeyHasher['hash'] = (secret) => argon2idHasher.hash(secret)

  verify: KeyHasher['verify'] = async (stored, secret) => {
    this.verified += 1
    await this.before()
    return argon2idHasher.verify(stored, secret)
  }
}

function setup(limits: Partial<KeyAuthenticatorLimits> = {}) {
  const clock = new ManualClock()
  const keys = new FakeKeys(clock)
  const hasher = new CountingHasher()
  const lines: string[] = []
  let listener: ChangeListener = () => undefined
  const keyring = createKeyAuthenticator({
    lookups: keys,
    onChange: (listen) => {
      listener = listen
      return () => (listener = () => undefined)
    },
    pepper: hmacKey(randomBytes(32)),
    clock,
    logger: createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }),
    hasher,
    limits,
  })
  /** Makes a key as the API would and stores it. */
  const put = async (row: Partial<KeyRecord> = {}, environment: Environment = 'live') => {
    const id = newId('key')
    const { text, hmac, argon2id } = await keyring.mint(environment, id, row.org ?? org)
    const stored: KeyRecord = {
      org,
      id,
      project,
      environment,
      version: 1,
      secretHmac: hmac,
      secretArgon2id: argon2id,
      scopes: ['proxy:call'],
      connection: null,
      expiresAt: null,
      revokedAt: null,
      makers: 0,
      allowedAddresses: [],
      allowedOrigins: [],
      dpopThumbprint: null,
      certificateThumbprint: null,
      auditUseMode: 'batched',
      now: keys.now(),
      ...row,
    }
    keys.rows.set(id, stored)
    return { id, text: text.reveal(), row: stored }
  }
  const changed = (id: KeyId) => listener({ table: 'api_key', org, id } satisfies Change)
  const lost = () => listener('unknown')
  return { clock, keys, hasher, keyring, put, changed, lost, lines }
}

/** The code of a refusal, or `accepted`. */
async function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'accepted',
    (error: unknown) => (error instanceof IdentityError ? error.code : `unexpected ${String(error)}`),
  )
}

/** A well-formed text with the right checksum for `id` and a secret of its own. */
function wrongText(id: KeyId = newId('key'), environment: Environment = 'live'): string {
  return mintGatewayKey(environment, id).text.reveal()
}

/** A promise with its switch. */
function gate() {
  let open: () => void = () => undefined
  const passed = new Promise<void>((resolve) => (open = resolve))
  return { open, pass: () => passed }
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

afterEach(() => vi.mocked(core.digestEquals).mockClear())

describe('authenticate', () => {
  it('gives the key as the database has it, and nothing the text merely claims', async () => {
    const { keyring, put } = setup()
    const connection = newId('conn')
    const { id, text } = await put({ scopes: ['proxy:call', 'keys:read'], connection, auditUseMode: 'strict' }, 'test')
    expect(await keyring.authenticate(text, ADDRESS)).toEqual({
      kind: 'key',
      keyId: id,
      org,
      project,
      environment: 'test',
      scopes: new Set(['proxy:call', 'keys:read']),
      connection,
      auditUseMode: 'strict',
      bounds: null,
    })
  })

  it('gives nothing for a scope that this version does not know', async () => {
    const { keyring, put } = setup()
    const { text } = await put({ scopes: ['proxy:call', 'root:everything'] as never })
    expect([...(await keyring.authenticate(text, ADDRESS)).scopes]).toEqual(['proxy:call'])
  })

  it('refuses malformed, unknown, wrong, expired, revoked and other-environment keys with one and the same problem', async () => {
    const { keyring, keys, put } = setup()
    const good = await put()
    const expired = await put({ expiresAt: new Date(keys.now().getTime() - 1) })
    const revoked = await put({ revokedAt: keys.now() })
    const moved = await put({ environment: 'test' })
    const errors: unknown[] = []
    for (const text of ['', 'sp_live_x', wrongText(), wrongText(good.id), expired.text, revoked.text, moved.text]) {
      errors.push(await keyring.authenticate(text, ADDRESS).catch((error: unknown) => error))
    }
    const shapes = errors.map((error) =>
      error instanceof IdentityError
        ? { code: error.code, message: error.message, cause: error.cause, retryAfterS: error.retryAfterS, publicDetail: error.publicDetail }
        : error,
    )
    expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(1)
    expect(shapes[0]).toMatchObject({ code: 'unauthenticated', retryAfterS: undefined, cause: undefined })
  })

  it('compares with a dummy of the same length when there is no such key', async () => {
    const { keyring } = setup()
    await outcome(keyring.authenticate(wrongText(), ADDRESS))
    const calls = vi.mocked(core.digestEquals).mock.calls
    expect(calls.map(([given, stored]) => [given.length, stored.length])).toEqual([[32, 32]])
  })

  // K-10: parsing comes first, so none of these may reach the database.
  it.each([
    ['trailing newline', (text: string) => `${text}\n`],
    ['leading space', (text: string) => ` ${text}`],
    ['homoglyph', (text: string) => text.replace('s', '\u0455')],
    ['full-width digit', (text: string) => `${text.slice(0, -1)}\uff10`],
    ['NUL', (text: string) => `${text.slice(0, -1)}\0`],
    ['lone surrogate', (text: string) => `${text.slice(0, -1)}\ud800`],
    ['1 MB', (text: string) => text.repeat(13_000)],
    ['wrong checksum', (text: string) => text.slice(0, -1) + (text.endsWith('0') ? '1' : '0')],
    ['upper case prefix', (text: string) => text.replace('sp_live', 'SP_LIVE')],
    ['empty', () => ''],
  ])('K-10 refuses a key with %s without asking the database', async (_name, spoil) => {
    const { keyring, keys, hasher, put } = setup()
    const { text } = await put()
    await keyring.authenticate(text, ADDRESS)
    const before = keys.lookups
    expect(keyring.cached(spoil(text))).toBeUndefined()
    expect(await outcome(keyring.authenticate(spoil(text), ADDRESS))).toBe('unauthenticated')
    expect([keys.lookups - before, hasher.verified]).toEqual([0, 1])
  })

  it('D-01 answers 5,000 bad keys with no argon2 run, whatever is wrong with them, and bounded lookups', async () => {
    const { keyring, keys, hasher, put } = setup()
    const known = await put()
    const revoked = await put({ revokedAt: keys.now() })
    const expired = await put({ expiresAt: keys.now() })
    const bad = [() => wrongText(known.id), () => wrongText(), () => revoked.text, () => expired.text]
    const outcomes = new Set<string>()
    for (let i = 0; i < 5_000; i++)
      outcomes.add(await outcome(keyring.authenticate(bad[i % bad.length]!(), `2001:db8:${(i % 500).toString(16)}::1`)))
    expect(hasher.verified).toBe(0)
    expect([...outcomes]).toEqual(['unauthenticated'])
    // One for each id that exists, one for each that doesn't.
    expect(keys.lookups).toBe(3 + 1_250)
  })

  it('D-01 reads a known id once in five seconds, however many wrong secrets are tried on it, and never locks its owner out', async () => {
    const { keyring, keys, clock, put } = setup({ failureBurst: 5 })
    const { id, text } = await put()
    for (let i = 0; i < 1_000; i++) await outcome(keyring.authenticate(wrongText(id), `198.51.100.${i % 100}`))
    expect(keys.lookups).toBe(1)
    expect(await outcome(keyring.authenticate(wrongText(id), '198.51.100.1'))).toBe('overloaded')
    // The owner, behind an address that is over its budget: the row in memory speaks for the key.
    expect(await outcome(keyring.authenticate(text, '198.51.100.1'))).toBe('accepted')
    clock.advance(5_000)
    await outcome(keyring.authenticate(wrongText(id), '192.0.2.1'))
    expect(keys.lookups).toBe(2)
  })

  it('D-01 refuses an address over its budget before any lookup, and forgives with time', async () => {
    const { keyring, keys, clock } = setup({ failureBurst: 5, failuresPerSecond: 1 })
    for (let i = 0; i < 5; i++) await outcome(keyring.authenticate(wrongText(), ADDRESS))
    const before = keys.lookups
    const refusal: unknown = await keyring.authenticate(wrongText(), ADDRESS).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'overloaded', retryAfterS: 1 })
    expect(keys.lookups).toBe(before)
    expect(await outcome(keyring.authenticate(wrongText(), '192.0.2.1'))).toBe('unauthenticated')
    clock.advance(1_000)
    expect(await outcome(keyring.authenticate(wrongText(), ADDRESS))).toBe('unauthenticated')
  })

  it('D-01 lets a key that was accepted before through at an address over its budget', async () => {
    const { keyring, clock, put } = setup({ failureBurst: 3, failuresPerSecond: 0.001 })
    const { text } = await put()
    await keyring.authenticate(text, ADDRESS)
    for (let i = 0; i < 5; i++) await outcome(keyring.authenticate(wrongText(), ADDRESS))
    expect(await outcome(keyring.authenticate(wrongText(), ADDRESS))).toBe('overloaded')
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('accepted')
    clock.advance(60_000)
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('accepted')
  })

  it('D-01 judges by memory alone, without a promise or an error of its own: a proven key, bad texts, wrong secrets, ids that nobody has', async () => {
    const { keyring, keys, hasher, put } = setup()
    const { id, text } = await put()
    const [judge, unheld] = [(one: string) => keyring.judge(one, () => ADDRESS), wrongText()]
    expect(judge(text)).toBeUndefined()
    const principal = await keyring.authenticate(text, ADDRESS)
    await outcome(keyring.authenticate(unheld, ADDRESS))
    const before = [keys.lookups, hasher.verified]
    expect(judge(text)).toBe(principal)
    const bad = ['', 'sp_test_', 'x'.repeat(81), 'x'.repeat(10_000), wrongText(id), wrongText(id), unheld]
    expect(new Set(bad.map(judge))).toEqual(new Set([REFUSED_KEY]))
    // What memory does not know is asked about, and not judged.
    expect(judge(wrongText())).toBeUndefined()
    expect([keys.lookups, hasher.verified]).toEqual(before)
    keyring.close()
    expect(judge(text)).toBe(REFUSED_KEY)
  })

  it('D-01 K-04 judges a key that is over by the row in memory, and its owner by nothing older', async () => {
    const { keyring, keys, changed, put } = setup()
    const revoked = await put({ revokedAt: keys.now() })
    await outcome(keyring.authenticate(revoked.text, ADDRESS))
    expect(keyring.judge(revoked.text, () => ADDRESS)).toBe(REFUSED_KEY)
    const lives = await put()
    await keyring.authenticate(lives.text, ADDRESS)
    keys.rows.set(lives.id, { ...lives.row, revokedAt: keys.now(), version: 2 })
    changed(lives.id)
    expect(keyring.judge(lives.text, () => ADDRESS)).toBeUndefined()
    expect(await outcome(keyring.authenticate(lives.text, ADDRESS))).toBe('unauthenticated')
    expect(keyring.judge(lives.text, () => ADDRESS)).toBe(REFUSED_KEY)
  })

  it('D-01 counts what it refuses by memory like any other failure, puts the address off, and lets a good key behind it go on', async () => {
    const { keyring, put } = setup({ failureBurst: 5, failuresPerSecond: 1 })
    const { id, text } = await put()
    await outcome(keyring.authenticate(wrongText(id), '192.0.2.1'))
    for (let i = 0; i < 5; i++) expect(keyring.judge(wrongText(id), () => ADDRESS)).toBe(REFUSED_KEY)
    const off = keyring.judge(wrongText(id), () => ADDRESS)
    expect(off).toMatchObject({ code: 'overloaded', retryAfterS: 1 })
    // The same object: one that is made for each would cost more than the rest of the refusal.
    expect(keyring.judge(wrongText(), () => ADDRESS)).toBe(off)
    expect(keyring.judge(text, () => ADDRESS)).toBeUndefined()
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('accepted')
    expect(keyring.judge(text, () => ADDRESS)).toMatchObject({ keyId: id })
  })

  it('D-01 does the same for an id that is remembered to be absent as for one that is there', async () => {
    const { keyring, put } = setup()
    const { id } = await put()
    const absent = wrongText()
    for (const one of [wrongText(id), absent]) await outcome(keyring.authenticate(one, ADDRESS))
    const compared = vi.mocked(core.digestEquals)
    const count = (one: string): number => {
      compared.mockClear()
      expect(keyring.judge(one, () => ADDRESS)).toBe(REFUSED_KEY)
      return compared.mock.calls.length
    }
    expect([count(wrongText(id)), count(absent)]).toEqual([1, 1])
  })

  it('runs one lookup and one argon2 for callers that bring a new key at the same moment', async () => {
    const { keyring, keys, hasher, put } = setup()
    const { text } = await put()
    const principals = await Promise.all(Array.from({ length: 50 }, () => keyring.authenticate(text, ADDRESS)))
    expect([keys.lookups, hasher.verified, new Set(principals).size]).toEqual([1, 1, 1])
  })

  it('runs one lookup for different wrong secrets of one id at the same moment', async () => {
    const { keyring, keys, put } = setup()
    const { id } = await put()
    await Promise.all(Array.from({ length: 50 }, () => outcome(keyring.authenticate(wrongText(id), ADDRESS))))
    expect(keys.lookups).toBe(1)
  })

  it('runs argon2 once per process and key version, not once per reading', async () => {
    const { keyring, keys, hasher, clock, put } = setup()
    const { id, text, row } = await put()
    for (let minute = 0; minute < 3; minute++) {
      await keyring.authenticate(text, ADDRESS)
      clock.advance(60_000)
    }
    expect([keys.lookups, hasher.verified]).toEqual([3, 1])
    keys.rows.set(id, { ...row, version: 2 })
    await keyring.authenticate(text, ADDRESS)
    expect(hasher.verified).toBe(2)
  })

  it('refuses a key whose two stored hashes disagree, and says so to the operator alone', async () => {
    const { keyring, put, lines } = setup()
    const other = await put()
    const { text } = await put({ secretArgon2id: other.row.secretArgon2id })
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
    expect(lines.join()).toContain('hashes that disagree')
    expect(lines.join()).not.toContain(text.slice(31, 74))
  })

  it('never runs more argon2 at once than it may, and refuses what a full queue would keep waiting', async () => {
    const { keyring, hasher, put } = setup({ hashesAtOnce: 2, hashQueue: 3 })
    const made = []
    for (let i = 0; i < 8; i++) made.push(await put())
    const { open, pass } = gate()
    hasher.before = pass
    const outcomes = made.map(({ text }) => outcome(keyring.authenticate(text, ADDRESS)))
    await settled()
    expect(hasher.verified).toBe(2)
    open()
    expect((await Promise.all(outcomes)).toSorted()).toEqual([...Array<string>(5).fill('accepted'), ...Array<string>(3).fill('overloaded')])
  })

  it('D-01 gives each organization its turn: keys of one that come for the first time in a crowd keep no other out', async () => {
    const { keyring, hasher, put } = setup({ hashesAtOnce: 1, hashQueue: 8, maxLookupsInFlight: 1_000 })
    const flood = []
    for (let i = 0; i < 15; i++) flood.push(await put())
    const quiet = await put({ org: newId('org') })
    const { open, pass } = gate()
    hasher.before = pass
    const floods = flood.map(({ text }) => outcome(keyring.authenticate(text, ADDRESS)))
    await settled()
    const verified = hasher.verified
    const other = outcome(keyring.authenticate(quiet.text, ADDRESS))
    await settled()
    open()
    expect(await other).toBe('accepted')
    // Behind the one that was at it, and one of the crowd whose turn came before.
    expect(hasher.verified - verified).toBeLessThanOrEqual(3)
    expect((await Promise.all(floods)).filter((one) => one === 'overloaded').length).toBeGreaterThan(0)
  })

  it('refuses new lookups when too many are under way, but not for keys it knows', async () => {
    const { keyring, keys, clock, put } = setup({ maxLookupsInFlight: 2 })
    const { text } = await put()
    await keyring.authenticate(text, ADDRESS)
    clock.advance(60_000)
    const { open, pass } = gate()
    keys.before = pass
    const stuck = [wrongText(), wrongText()].map((bad) => outcome(keyring.authenticate(bad, ADDRESS)))
    expect(await outcome(keyring.authenticate(wrongText(), ADDRESS))).toBe('overloaded')
    const good = outcome(keyring.authenticate(text, ADDRESS))
    open()
    expect([await good, ...(await Promise.all(stuck))]).toEqual(['accepted', 'unauthenticated', 'unauthenticated'])
  })
})

describe('expiry', () => {
  // K-03: the node's wall clock is wrong by two minutes either way; the database's decides.
  it.each([-120_000, 0, 120_000])('K-03 follows the database, with the node clock off by %i ms', async (skewMs) => {
    const { keyring, keys, clock, put } = setup()
    clock.step(skewMs)
    const { text } = await put({ expiresAt: new Date(keys.now().getTime() + 2_000) })
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('accepted')
    clock.advance(1_000)
    expect(keyring.cached(text)).toBeDefined()
    clock.step(-skewMs * 2)
    clock.advance(999)
    expect(keyring.cached(text)).toBeDefined()
    clock.advance(1)
    expect(keyring.cached(text)).toBeUndefined()
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
  })

  it('K-03 counts the time a slow answer took: early by a round trip, never late', async () => {
    const { keyring, keys, clock, put } = setup()
    const { text } = await put({ expiresAt: new Date(keys.now().getTime() + 1_000) })
    keys.before = () => {
      clock.advance(1_000)
      return Promise.resolve()
    }
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
  })
})

describe('cached', () => {
  it('gives a proven key for ten seconds after it was read, without I/O', async () => {
    const { keyring, keys, clock, put } = setup()
    const { text } = await put()
    expect(keyring.cached(text)).toBeUndefined()
    const principal = await keyring.authenticate(text, ADDRESS)
    clock.advance(9_999)
    expect(keyring.cached(text)).toBe(principal)
    expect(await keyring.authenticate(text, ADDRESS)).toBe(principal)
    clock.advance(1)
    expect(keyring.cached(text)).toBeUndefined()
    expect(keys.lookups).toBe(1)
  })

  it('gives nothing for another text of the same key', async () => {
    const { keyring, put } = setup()
    const { id, text } = await put()
    await keyring.authenticate(text, ADDRESS)
    expect([wrongText(id), text.replace('live', 'test'), `${text} `, text.toUpperCase()].map((other) => keyring.cached(other))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('K-04 drops a key at once when its row changed, and only that one', async () => {
    const { keyring, keys, put, changed } = setup()
    const [revoked, untouched] = [await put(), await put()]
    await keyring.authenticate(revoked.text, ADDRESS)
    await keyring.authenticate(untouched.text, ADDRESS)
    keys.rows.set(revoked.id, { ...revoked.row, revokedAt: keys.now() })
    changed(revoked.id)
    expect(keyring.cached(revoked.text)).toBeUndefined()
    expect(keyring.cached(untouched.text)).toBeDefined()
    expect(await outcome(keyring.authenticate(revoked.text, ADDRESS))).toBe('unauthenticated')
  })

  it('K-04 looks at the keys it remembers once for however many changed together, and drops what changed', async () => {
    const { keyring, put, changed, keys } = setup()
    const [gone, stays] = [await put(), await put()]
    for (const { text } of [gone, stays]) await keyring.authenticate(text, ADDRESS)
    const walks = vi.spyOn(RecentMap.prototype, 'deleteWhere')
    for (let n = 0; n < 1_000; n++) changed(newId('key'))
    keys.rows.set(gone.id, { ...gone.row, revokedAt: keys.now() })
    changed(gone.id)
    expect([keyring.cached(gone.text), keyring.cached(stays.text)?.keyId]).toEqual([undefined, stays.id])
    expect(walks.mock.calls).toHaveLength(1)
    walks.mockRestore()
    expect(await outcome(keyring.authenticate(gone.text, ADDRESS))).toBe('unauthenticated')
  })

  it('K-04 remembers no more changes than keys: past that nothing is believed without being read again', async () => {
    const { keyring, put, changed, keys } = setup({ maxProven: 4 })
    const { id, text, row } = await put()
    await keyring.authenticate(text, ADDRESS)
    keys.rows.set(id, { ...row, revokedAt: keys.now() })
    changed(id)
    for (let n = 0; n < 9; n++) changed(newId('key'))
    expect(keyring.cached(text)).toBeUndefined()
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
  })

  it('K-04 refuses a revoked key after ten seconds even when no notification ever comes', async () => {
    const { keyring, keys, clock, put } = setup()
    const { id, text, row } = await put()
    await keyring.authenticate(text, ADDRESS)
    keys.rows.set(id, { ...row, revokedAt: keys.now() })
    clock.advance(10_000)
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
    // What was once known to be wrong doesn't come back when the database goes, though it was proven less than thirty seconds ago.
    keys.down = true
    clock.advance(6_000)
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('database_unavailable')
  })

  it('K-04 drops everything when notifications may have been missed', async () => {
    const { keyring, keys, put, lost } = setup()
    const { id, text, row } = await put()
    await keyring.authenticate(text, ADDRESS)
    keys.rows.set(id, { ...row, revokedAt: keys.now() })
    lost()
    expect(keyring.cached(text)).toBeUndefined()
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('unauthenticated')
  })

  // The risk: the row is read, the key is revoked, the notification comes, and the old row is then remembered for thirty seconds.
  it('K-04 neither accepts nor remembers a key that was revoked while its row was on the way', async () => {
    const { keyring, keys, put, changed } = setup()
    const { id, text, row } = await put()
    const { open, pass } = gate()
    keys.before = pass
    const late = outcome(keyring.authenticate(text, ADDRESS))
    await settled()
    keys.rows.set(id, { ...row, revokedAt: keys.now() })
    changed(id)
    open()
    expect(await late).toBe('unauthenticated')
    expect(keyring.cached(text)).toBeUndefined()
    expect(keys.lookups).toBe(2)
  })

  it('K-04 does not fall back on a row that changed on the way when the database goes before it can be read again', async () => {
    const { keyring, keys, put, changed } = setup()
    const { id, text } = await put()
    const { open, pass } = gate()
    keys.before = pass
    const late = outcome(keyring.authenticate(text, ADDRESS))
    await settled()
    keys.down = true
    changed(id)
    open()
    expect([await late, keyring.cached(text)]).toEqual(['database_unavailable', undefined])
  })

  it('K-04 does the same for a key that was revoked while it waited for argon2', async () => {
    const { keyring, keys, hasher, put, changed } = setup()
    const { id, text, row } = await put()
    const { open, pass } = gate()
    hasher.before = pass
    const late = outcome(keyring.authenticate(text, ADDRESS))
    await settled()
    keys.rows.set(id, { ...row, revokedAt: keys.now() })
    changed(id)
    open()
    expect(await late).toBe('unauthenticated')
    expect(keyring.cached(text)).toBeUndefined()
  })

  it('gives up with overloaded when a key keeps changing while it is verified', async () => {
    const { keyring, keys, put, changed } = setup()
    const { id, text } = await put()
    keys.before = async () => {
      await settled()
      changed(id)
    }
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('overloaded')
    expect(keys.lookups).toBe(4)
  })
})

describe('without the database', () => {
  it('lets keys proven in the last thirty seconds go on, and refuses others as unavailable', async () => {
    const { keyring, keys, clock, put } = setup()
    const [proven, cold] = [await put(), await put()]
    await keyring.authenticate(proven.text, ADDRESS)
    keys.down = true
    for (const ms of [10_000, 5_000, 5_000, 9_999]) {
      clock.advance(ms)
      expect(await outcome(keyring.authenticate(proven.text, ADDRESS))).toBe('accepted')
    }
    expect(await keyring.authenticate(cold.text, ADDRESS).catch((error: unknown) => error)).toMatchObject({
      code: 'database_unavailable',
      retryAfterS: 1,
    })
    clock.advance(1)
    expect(await outcome(keyring.authenticate(proven.text, ADDRESS))).toBe('database_unavailable')
    keys.down = false
    expect(await outcome(keyring.authenticate(proven.text, ADDRESS))).toBe('accepted')
  })

  it('K-03 lets no key outlast its own expiry, and asks again once a second and not with every call', async () => {
    const { keyring, keys, clock, put } = setup()
    const { text } = await put({ expiresAt: new Date(keys.now().getTime() + 15_000) })
    await keyring.authenticate(text, ADDRESS)
    keys.down = true
    clock.advance(10_000)
    for (let i = 0; i < 100; i++) await keyring.authenticate(text, ADDRESS)
    expect([keys.lookups, keyring.cached(text) !== undefined]).toEqual([2, true])
    clock.advance(5_000)
    expect([keyring.cached(text), await outcome(keyring.authenticate(text, ADDRESS))]).toEqual([undefined, 'database_unavailable'])
  })

  it('counts no failure against anybody', async () => {
    const { keyring, keys, put } = setup({ failureBurst: 2 })
    const { text } = await put()
    keys.down = true
    for (let i = 0; i < 10; i++) expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('database_unavailable')
    keys.down = false
    expect(await outcome(keyring.authenticate(text, ADDRESS))).toBe('accepted')
  })
})

describe('bounds', () => {
  it('remembers no more proven keys than it may; the one put first goes', async () => {
    const { keyring, put } = setup({ maxProven: 3 })
    const made = []
    for (let i = 0; i < 5; i++) made.push(await put())
    for (const { text } of made) await keyring.authenticate(text, ADDRESS)
    expect(made.map(({ text }) => keyring.cached(text) !== undefined)).toEqual([false, false, true, true, true])
  })

  it('forgets everything and accepts nothing after close', async () => {
    const { keyring, keys, put } = setup()
    const { text } = await put()
    await keyring.authenticate(text, ADDRESS)
    const { open, pass } = gate()
    keys.before = pass
    const other = await put()
    const late = outcome(keyring.authenticate(other.text, ADDRESS))
    keyring.close()
    open()
    expect([await outcome(keyring.authenticate(text, ADDRESS)), await late]).toEqual(['unauthenticated', 'unauthenticated'])
    expect([keyring.cached(text), keyring.cached(other.text)]).toEqual([undefined, undefined])
  })
})

describe('mint', () => {
  it('K-02 gives hashes from which the secret does not follow: argon2id with our parameters, and an HMAC that needs the pepper', async () => {
    const { keyring } = setup()
    const other = setup().keyring
    const id = newId('key')
    const { text, hmac, argon2id } = await keyring.mint('live', id, newId('org'))
    const secret = core.parseGatewayKey(text.reveal())!.secret
    expect(argon2id).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(hmac).toHaveLength(32)
    expect(core.sha256(secret)).not.toEqual(hmac)
    expect((await other.mint('live', id, newId('org'))).hmac).not.toEqual(hmac)
    expect(`${argon2id}${hmac.toString('hex')}${hmac.toString('base64')}`).not.toContain(secret.reveal())
  })
})
