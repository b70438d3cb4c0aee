/** From where and by whom a gateway key may be used, over the real control plane, behind a trusted proxy that the test plays. */
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient, inEnvironment, SallyportApiError } from '../../../client/src/index.ts'

import {
  createLogger,
  generateProofKey,
  hmacKey,
  makeDpopProof,
  openProofKey,
  proofKeyThumbprint,
  randomBytes,
  SallyportError,
  Secret,
  systemClock,
} from '@sallyport/core'
import { makeCertificate } from '../../../core/test/http/certificates.ts'
import { createKeyGuard, createNonces } from '../../src/binding/index.ts'
import type { KeyGuard, KeyGuardOptions } from '../../src/binding/index.ts'
import { auditEventList } from '../../src/db/index.ts'
import { createPersonal } from '../../src/vault/index.ts'
import { silent } from '../db/fresh-database.ts'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

const PUBLIC_URL = 'http://127.0.0.1:7255'

let world: World
let strict: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'), { trustedProxies: ['127.0.0.1'], certificateHeader: 'client-cert' })
  strict = await createWorld(inject('postgresUrl'), { requireNonce: true })
})
afterAll(() => Promise.all([world?.close(), strict?.close()]))

const placeOf = ({ a }: World) => ({ org: a.params.org, project: a.params.project, environment: 'test' as const })
const keysPath = (at: World): string => `/api/v1/orgs/${at.a.params.org}/projects/${at.a.params.project}/test/keys`
const keysPathOf = (): string => keysPath(world)
/** Keys of the environment, as a person of the organization makes them. */
const keys = (at = world) =>
  inEnvironment(createClient({ baseUrl: at.url, cookies: at.a.people.DEVELOPER.cookie, headers: { origin: PUBLIC_URL } }), placeOf(at)).keys
/** The same, as another key. */
const keysAs = (key: string, headers: Record<string, string> = {}) =>
  inEnvironment(createClient({ baseUrl: world.url, key, headers }), placeOf(world)).keys

const make = async (more: object, at = world) =>
  keys(at).create({ name: 'bound', scopes: ['keys:read', 'keys:write', 'proxy:call'], ...more } as never)
const from = (address: string) => ({ 'x-forwarded-for': address })
/** A call that every key may make, from an address. */
const callFrom = (key: string, address: string, headers = {}): Promise<Answer> =>
  send(world, keysPath(world), { headers: { ...asKey(key), ...from(address), ...headers } })

const guards: KeyGuard[] = []
afterAll(() => guards.forEach((guard) => guard.close()))

/** The guard of another node, or of this one started anew: it shares the database and nothing else. */
function guardOf(options: Partial<KeyGuardOptions>): KeyGuard {
  const guard = createKeyGuard({
    publicUrl: PUBLIC_URL,
    certificateHeader: undefined,
    isTrustedPeer: () => false,
    nonces: createNonces(hmacKey(randomBytes(32)), systemClock),
    requireNonce: false,
    proofs: world.database.lookups,
    useLog: { use: () => undefined },
    clock: systemClock,
    logger: createLogger({ level: 'silent', format: 'json', write: () => undefined }),
    ...options,
  })
  guards.push(guard)
  return guard
}

async function refusal(call: Promise<unknown>): Promise<{ code: string; status: number }> {
  const error = await call.then(
    () => expect.unreachable('the call was not refused'),
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(SallyportApiError)
  const { code, status } = error as SallyportApiError
  return { code, status }
}

/** What is on record of refusals of a key, with where it came from, which no detail says. */
async function refusalsOf(key: string): Promise<unknown[]> {
  await world.flush()
  const personal = createPersonal({ vault: world.vault, logger: silent })
  return world.database.withTenant(world.a.org, async (tx) => {
    const events = (await auditEventList(tx, { limit: 1000 })).filter(({ action, target }) => action === 'key.refused' && target === key)
    const facts = await personal.open(tx, events)
    return events.map(({ detail, seq }) => ({ ...(JSON.parse(detail) as object), ...facts.get(seq) }))
  })
}

describe('S79 a key that is held to addresses', () => {
  it.each([
    ['R-01', ['10.0.0.0/12'], ['10.15.255.255'], ['10.16.0.0']],
    ['R-02', ['1.2.3.4/32', '5.6.7.8'], ['1.2.3.4', '5.6.7.8'], ['1.2.3.40', '1.2.3.5']],
    ['R-03', ['203.0.113.0/25'], ['203.0.113.127'], ['203.0.113.128']],
    ['R-03', ['0.0.0.0/0'], ['203.0.113.128'], ['2001:db8::1']],
    ['R-04', ['203.0.113.0/24'], ['::ffff:203.0.113.9', '::ffff:cb00:7109'], ['::cb00:7109']],
    ['R-05', ['2001:DB8::/32'], ['2001:db8:ffff::1', '2001:0DB8:0:0::1'], ['2001:db9::1', '203.0.113.9']],
    ['R-05', ['::/0'], ['2001:db8::1'], ['203.0.113.9']],
  ])('%s of %j is taken from there and nowhere else', async (_case, allowed_addresses, inside, outside) => {
    const { secret } = await make({ allowed_addresses })
    for (const address of inside) expect((await callFrom(secret, address)).status, address).toBe(200)
    for (const address of outside) {
      const { status, json } = await callFrom(secret, address)
      expect([status, json.code], address).toEqual([403, 'address_refused'])
    }
  })

  it('is told that its address is refused, and not which one would do', async () => {
    const { secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    const { text } = await callFrom(secret, '203.0.113.9')
    expect(text).not.toMatch(/198\.51\.100|203\.0\.113/u)
  })

  it('R-06 goes by the nearest address that no trusted proxy has, whatever else is claimed', async () => {
    const { secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    const claims = { forwarded: 'for=198.51.100.1', 'x-real-ip': '198.51.100.1', 'cf-connecting-ip': '198.51.100.1' }
    expect((await callFrom(secret, '198.51.100.1, 203.0.113.9', claims)).status).toBe(403)
    expect((await callFrom(secret, '203.0.113.9, 198.51.100.1')).status).toBe(200)
    expect((await send(world, keysPath(world), { headers: asKey(secret) })).json.code).toBe('address_refused')
    // Nobody is trusted there: the peer is the caller.
    const { secret: there } = await make({ allowed_addresses: ['198.51.100.0/24'] }, strict)
    expect((await send(strict, keysPath(strict), { headers: { ...asKey(there), ...from('198.51.100.1') } })).status).toBe(403)
  })

  it.each([['203.0.113.0/33'], ['203.0.113.1/24'], ['2001:db8::1/64'], ['::ffff:10.0.0.0/104'], ['1.2.3'], ['10.0.0.0/08']])(
    'R-03 is not made of %j',
    async (range) => {
      const body = { name: 'bound', scopes: ['proxy:call'], allowed_addresses: ['10.0.0.0/8', range] }
      const answer = await send(world, keysPath(world), { method: 'POST', headers: asPerson(world.a.people.OWNER), body })
      expect([answer.status, answer.json.code]).toEqual([400, 'validation_failed'])
      expect(answer.json.errors[0].pointer).toBe('/body/allowed_addresses/1')
    },
  )

  it.each([[[]], [[' 10.0.0.0/8']], [['fe80::1%eth0']], ['10.0.0.0/8'], [Array.from({ length: 51 }, (_, i) => `10.0.0.${i}`)]])(
    'R-03 is not made of %j either',
    async (allowed_addresses) => {
      const body = { name: 'bound', scopes: ['proxy:call'], allowed_addresses }
      const answer = await send(world, keysPath(world), { method: 'POST', headers: asPerson(world.a.people.OWNER), body })
      expect([answer.status, answer.json.code]).toEqual([400, 'validation_failed'])
    },
  )

  it('R-12 is held to other addresses from the moment they are changed, and to none when they are lifted', async () => {
    const { key, secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    expect((await callFrom(secret, '203.0.113.9')).status).toBe(403)
    const changed = await keys().update(key.id, { allowed_addresses: ['203.0.113.0/24'], name: 'moved' })
    expect(changed).toMatchObject({ name: 'moved', allowed_addresses: ['203.0.113.0/24'] })
    expect((await callFrom(secret, '203.0.113.9')).status).toBe(200)
    expect((await callFrom(secret, '198.51.100.1')).status).toBe(403)
    expect(await keys().update(key.id, { allowed_addresses: null })).toMatchObject({ allowed_addresses: null })
    expect((await callFrom(secret, '198.51.100.1')).status).toBe(200)
  })

  it('is not changed once it is revoked, nor from elsewhere', async () => {
    const { key } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    await keys().revoke(key.id)
    expect(await refusal(keys().update(key.id, { allowed_addresses: null }))).toEqual({ code: 'conflict', status: 409 })
    const theirs = asPerson(world.b.people.OWNER)
    const answer = await send(world, `${keysPath(world)}/${key.id}`, { method: 'PATCH', headers: theirs, body: { name: 'mine' } })
    expect(answer.status).toBe(404)
  })

  it('T-10 makes no key for addresses that it has not, and hands on its own', async () => {
    const { secret } = await make({ allowed_addresses: ['198.51.100.0/24', '2001:db8::/32'] })
    const maker = keysAs(secret, from('198.51.100.1'))
    for (const range of ['0.0.0.0/0', '198.51.0.0/16', '203.0.113.0/24', '::/0']) {
      const wanted = maker.create({ name: 'child', scopes: ['proxy:call'], allowed_addresses: ['198.51.100.7', range] })
      expect(await refusal(wanted)).toEqual({ code: 'forbidden', status: 403 })
    }
    expect((await maker.create({ name: 'child', scopes: ['proxy:call'] })).key.allowed_addresses).toEqual([
      '198.51.100.0/24',
      '2001:db8::/32',
    ])
    const narrower = await maker.create({ name: 'child', scopes: ['proxy:call'], allowed_addresses: ['198.51.100.128/25'] })
    expect(narrower.key.allowed_addresses).toEqual(['198.51.100.128/25'])
  })

  it('T-10 frees neither itself nor another key', async () => {
    const { key, secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    const { key: other } = await make({ allowed_addresses: ['203.0.113.0/24'] })
    const own = keysAs(secret, from('198.51.100.1'))
    for (const id of [key.id, other.id]) {
      expect(await refusal(own.update(id, { allowed_addresses: null }))).toEqual({ code: 'forbidden', status: 403 })
      expect(await refusal(own.update(id, { allowed_addresses: ['0.0.0.0/0'] }))).toEqual({ code: 'forbidden', status: 403 })
    }
  })

  it('R-09 R-12 is held by what holds its maker as well, at once when that is narrowed later', async () => {
    const { key, secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    const child = await keysAs(secret, from('198.51.100.1')).create({
      name: 'child',
      scopes: ['keys:read'],
      allowed_addresses: ['198.51.100.0/25'],
    })
    expect((await callFrom(child.secret, '198.51.100.1')).status).toBe(200)
    expect((await callFrom(child.secret, '198.51.100.200')).status).toBe(403)
    await keys().update(key.id, { allowed_addresses: ['198.51.100.64/26'] })
    expect((await callFrom(child.secret, '198.51.100.1')).status).toBe(403)
    expect((await callFrom(child.secret, '198.51.100.65')).status).toBe(200)
  })

  it('A-09 leaves one event for its first refusal, with the address, and not one for each', async () => {
    const { key, secret } = await make({ allowed_addresses: ['198.51.100.0/24'] })
    for (let i = 0; i < 5; i++) await callFrom(secret, '203.0.113.9')
    expect(await refusalsOf(key.id)).toEqual([{ code: 'address_refused', address: '203.0.113.9', times: 1 }])
  })
})

describe('S121 a key that is for web pages', () => {
  const PAGE = 'https://app.test'
  const path = keysPathOf
  const callBy = (secret: string, headers: Record<string, string | readonly string[]>): Promise<Answer> =>
    send(world, path(), { headers: { ...asKey(secret), ...headers } })
  const outcome = async (secret: string, headers: Record<string, string | readonly string[]>) => {
    const { status, json } = await callBy(secret, headers)
    return [status, json.code]
  }

  it('R-08 is taken from its exact origins alone, and from no caller that names none', async () => {
    const { key, secret } = await make({ allowed_origins: [PAGE, 'https://admin.app.test:8443'] })
    expect(key.allowed_origins).toEqual([PAGE, 'https://admin.app.test:8443'])
    expect((await callBy(secret, { origin: PAGE })).status).toBe(200)
    expect((await callBy(secret, { Origin: 'https://admin.app.test:8443' })).status).toBe(200)
    for (const origin of [
      'null',
      '',
      '*',
      'https://sub.app.test',
      'https://app.test.evil.test',
      'https://evilapp.test',
      'https://app.test:8443',
      'https://app.test:443',
      'http://app.test',
      'https://APP.test',
      'HTTPS://app.test',
      'https://app.test/',
      'https://app.test.',
      'https://user@app.test',
      'https://app.test@evil.test',
      'https://app.test https://evil.test',
      'https://app.test, https://evil.test',
      'https://app.tes',
    ])
      expect(await outcome(secret, { origin }), origin).toEqual([403, 'origin_refused'])
    expect(await outcome(secret, {})).toEqual([403, 'origin_refused'])
    expect(await outcome(secret, { origin: [PAGE, 'https://evil.test'] })).toEqual([403, 'origin_refused'])
    expect(await outcome(secret, { origin: [PAGE, PAGE] })).toEqual([403, 'origin_refused'])
    // What names a page elsewhere is no Origin.
    expect(await outcome(secret, { referer: `${PAGE}/`, 'x-origin': PAGE, host: 'app.test' })).toEqual([403, 'origin_refused'])
  })

  it('R-08 R-10 tells a page that is refused nothing of the key, and no browser that it may read the refusal', async () => {
    const { key, secret } = await make({ allowed_origins: [PAGE] })
    const { text, headers } = await callBy(secret, { origin: 'https://evil.test' })
    expect(text).not.toMatch(/app\.test|evil\.test/u)
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([])
    expect(await refusalsOf(key.id)).toEqual([{ code: 'origin_refused', address: '127.0.0.1', times: 1 }])
  })

  it.each([
    ['https://app.test/'],
    ['https://APP.test'],
    ['https://app.test:443'],
    ['https://*.app.test'],
    ['*'],
    ['null'],
    ['app.test'],
    ['http://app.test'],
    ['https://user@app.test'],
    ['chrome-extension://abcdef'],
    [' https://app.test'],
  ])('R-08 is not made for %j', async (origin) => {
    const body = { name: 'page', scopes: ['proxy:call'], allowed_origins: [PAGE, origin] }
    const answer = await send(world, path(), { method: 'POST', headers: asPerson(world.a.people.OWNER), body })
    expect([answer.status, answer.json.code]).toEqual([400, 'validation_failed'])
    expect(answer.json.errors[0].pointer).toBe('/body/allowed_origins/1')
  })

  it('R-12 is for other pages from the moment they are changed, and for everybody when they are lifted', async () => {
    const { key, secret } = await make({ allowed_origins: [PAGE] })
    expect(await keys().update(key.id, { allowed_origins: ['https://new.test'] })).toMatchObject({ allowed_origins: ['https://new.test'] })
    expect((await callBy(secret, { origin: PAGE })).status).toBe(403)
    expect((await callBy(secret, { origin: 'https://new.test' })).status).toBe(200)
    expect(await keys().update(key.id, { allowed_origins: null })).toMatchObject({ allowed_origins: null })
    expect((await callBy(secret, {})).status).toBe(200)
  })

  it('T-10 makes keys for its own pages or fewer, and frees neither itself nor another', async () => {
    const { key, secret } = await make({ allowed_origins: [PAGE, 'https://b.test'] })
    const own = keysAs(secret, { origin: PAGE })
    expect(await refusal(own.create({ name: 'c', scopes: ['proxy:call'], allowed_origins: [PAGE, 'https://c.test'] }))).toEqual({
      code: 'forbidden',
      status: 403,
    })
    expect((await own.create({ name: 'c', scopes: ['proxy:call'] })).key.allowed_origins).toEqual([PAGE, 'https://b.test'])
    const child = await own.create({ name: 'c', scopes: ['keys:read'], allowed_origins: ['https://b.test'] })
    expect(child.key.allowed_origins).toEqual(['https://b.test'])
    const { key: free } = await make({})
    for (const id of [key.id, free.id]) {
      for (const allowed_origins of [null, ['https://c.test']])
        expect(await refusal(own.update(id, { allowed_origins }))).toEqual({ code: 'forbidden', status: 403 })
    }
    const { key: turned } = await own.rotate(key.id)
    expect(turned.allowed_origins).toEqual([PAGE, 'https://b.test'])
  })

  it('R-09 R-12 is held by what holds its maker as well, at once when that is narrowed later', async () => {
    const { key, secret } = await make({ allowed_origins: [PAGE, 'https://b.test'] })
    const child = await keysAs(secret, { origin: PAGE }).create({ name: 'c', scopes: ['keys:read'] })
    expect((await callBy(child.secret, { origin: PAGE })).status).toBe(200)
    await keys().update(key.id, { allowed_origins: ['https://b.test'] })
    expect((await callBy(child.secret, { origin: PAGE })).status).toBe(403)
    expect((await callBy(child.secret, { origin: 'https://b.test' })).status).toBe(200)
  })

  it('S79 is asked for its address before, and both hold', async () => {
    const { secret } = await make({ allowed_origins: [PAGE], allowed_addresses: ['198.51.100.0/24'] })
    expect(await outcome(secret, { origin: PAGE, ...from('203.0.113.9') })).toEqual([403, 'address_refused'])
    expect(await outcome(secret, from('198.51.100.1'))).toEqual([403, 'origin_refused'])
    expect((await callBy(secret, { origin: PAGE, ...from('198.51.100.1') })).status).toBe(200)
  })
})

describe('N11 a key that is bound to a DPoP key', () => {
  const pair = () => {
    const text = generateProofKey()
    const key = openProofKey(text)
    return { key, sender: { kind: 'dpop', thumbprint: proofKeyThumbprint(key.publicKey) } as const }
  }
  const path = (at: World) => keysPath(at)
  type Pair = ReturnType<typeof pair>
  const proofFor = ({ key }: Pair, secret: string, more: Partial<Parameters<typeof makeDpopProof>[1]> = {}, at = world) =>
    makeDpopProof(key, { method: 'GET', url: PUBLIC_URL + path(at), now: Date.now(), accessToken: new Secret(secret), ...more })
  const call = (secret: string, headers: Record<string, string | string[]>, at = world, scheme = 'DPoP') =>
    send(at, path(at), { headers: { authorization: `${scheme} ${secret}`, ...headers } })

  it('is taken with a proof of that key for each request, as DPoP and as Bearer', async () => {
    const own = pair()
    const { key, secret } = await make({ sender: own.sender })
    expect(key.sender).toEqual(own.sender)
    expect((await call(secret, { dpop: proofFor(own, secret) })).status).toBe(200)
    expect((await call(secret, { dpop: proofFor(own, secret) }, world, 'Bearer')).status).toBe(200)
    const list = `${PUBLIC_URL}${path(world)}?limit=5`
    expect(
      (await send(world, `${path(world)}?limit=5`, { headers: { ...asKey(secret), dpop: proofFor(own, secret, { url: list }) } })).status,
    ).toBe(200)
  })

  it.each<[string, (own: Pair, secret: string) => Record<string, string | string[]>, string, RegExp]>([
    ['no proof', () => ({}), 'proof_required', /^DPoP realm="sallyport", algs="ES256 /u],
    ['two proofs', (own, key) => ({ dpop: [proofFor(own, key), proofFor(own, key)] }), 'proof_invalid', /error="invalid_dpop_proof"/u],
    ['no signed token', () => ({ dpop: 'x' }), 'proof_invalid', /error="invalid_dpop_proof"/u],
    ['another’s proof', (_own, key) => ({ dpop: proofFor(pair(), key) }), 'proof_key_mismatch', /^DPoP .*error="invalid_token"/u],
    ['a proof for another gateway key', (own) => ({ dpop: proofFor(own, 'another') }), 'proof_invalid', /invalid_dpop_proof/u],
    [
      'a proof for another method',
      (own, key) => ({ dpop: proofFor(own, key, { method: 'POST' }) }),
      'proof_request_mismatch',
      /invalid_dpop_proof/u,
    ],
    [
      'a proof for another path',
      (own, key) => ({ dpop: proofFor(own, key, { url: `${PUBLIC_URL}/api` }) }),
      'proof_request_mismatch',
      /DPoP/u,
    ],
    [
      'a proof for where it is listened, not for the public URL',
      (own, key) => ({ dpop: proofFor(own, key, { url: world.url + path(world) }) }),
      'proof_request_mismatch',
      /DPoP/u,
    ],
    ['an old proof', (own, key) => ({ dpop: proofFor(own, key, { now: Date.now() - 65_000 }) }), 'proof_expired', /invalid_dpop_proof/u],
    ['a proof of tomorrow', (own, key) => ({ dpop: proofFor(own, key, { now: Date.now() + 86_400_000 }) }), 'proof_expired', /DPoP/u],
  ])('is refused with %s', async (_what, headers, code, challenge) => {
    const own = pair()
    const { secret } = await make({ sender: own.sender })
    const answer = await call(secret, headers(own, secret))
    expect([answer.status, answer.json.code]).toEqual([401, code])
    expect(answer.headers['www-authenticate']).toMatch(challenge)
  })

  it('is refused with a proof that was taken before, also of twenty at once', async () => {
    const own = pair()
    const { key, secret } = await make({ sender: own.sender })
    const dpop = proofFor(own, secret)
    const answers = await Promise.all(Array.from({ length: 20 }, () => call(secret, { dpop })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ json }) => json.code === 'proof_replayed')).toHaveLength(19)
    expect(await refusalsOf(key.id)).toEqual([{ code: 'proof_replayed', address: '127.0.0.1', times: 1 }])
  })

  it('cannot have its proofs used up by one who forges them', async () => {
    const own = pair()
    const { secret } = await make({ sender: own.sender })
    const dpop = proofFor(own, secret)
    const forged = `${dpop.slice(0, dpop.lastIndexOf('.'))}.${'A'.repeat(86)}`
    expect((await call(secret, { dpop: forged })).json.code).toBe('proof_invalid')
    expect((await call(secret, { dpop })).status).toBe(200)
  })

  const admit = async (guard: KeyGuard, secret: string, dpop: string): Promise<void> => {
    const principal = await world.keys.authenticate(secret, '127.0.0.1')
    const request = { method: 'GET', url: path(world), rawHeaders: ['DPoP', dpop], socket: {} as Socket }
    return guard.admit(principal, { request, address: '127.0.0.1', key: secret, asBound: true })
  }

  it('has each proof taken once by all nodes together, also by one that was started anew', async () => {
    const own = pair()
    const { secret } = await make({ sender: own.sender })
    const [used, fresh] = [proofFor(own, secret), proofFor(own, secret)]
    expect((await call(secret, { dpop: used })).status).toBe(200)
    await expect(admit(guardOf({}), secret, used)).rejects.toMatchObject({ code: 'proof_replayed' })
    const nodes = Array.from({ length: 8 }, () => admit(guardOf({}), secret, fresh))
    const outcomes = await Promise.allSettled(nodes)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect((await call(secret, { dpop: fresh })).json.code).toBe('proof_replayed')
  })

  it('is not taken while nobody can say whether its proof was used', async () => {
    const own = pair()
    const { secret } = await make({ sender: own.sender })
    const away = async (): Promise<never> => {
      throw new SallyportError('database_unavailable', 'away')
    }
    const guard = guardOf({ proofs: { proofTake: away, proofSweep: away } })
    await expect(admit(guard, secret, proofFor(own, secret))).rejects.toMatchObject({ code: 'database_unavailable' })
  })

  it('leaves nothing of its proofs behind once they are over', async () => {
    const { lookups } = world.database
    const hash = randomBytes(32)
    expect([await lookups.proofTake(hash, 1), await lookups.proofTake(hash, 1)]).toEqual([true, false])
    await expect.poll(() => lookups.proofSweep(10_000), { timeout: 20_000 }).toBeGreaterThan(0)
    await expect.poll(() => lookups.proofTake(hash, 1)).toBe(true)
  })

  it('hands its binding on to what it makes, and no other', async () => {
    const own = pair()
    const { secret } = await make({ sender: own.sender })
    const create = (body: object) =>
      send(world, path(world), {
        method: 'POST',
        headers: { authorization: `DPoP ${secret}`, dpop: proofFor(own, secret, { method: 'POST' }) },
        body: { name: 'child', scopes: ['proxy:call'], ...body },
      })
    expect((await create({})).json.key.sender).toEqual(own.sender)
    expect((await create({ sender: own.sender })).json.key.sender).toEqual(own.sender)
    expect((await create({ sender: pair().sender })).json.code).toBe('forbidden')
  })

  it('must be sent as one: a key that is bound to none is refused as DPoP', async () => {
    const { secret } = await make({})
    expect((await call(secret, {})).json).toMatchObject({ status: 401, code: 'unauthenticated' })
    expect((await call(secret, { dpop: 'whatever' }, world, 'Bearer')).status).toBe(200)
  })

  it('where nonces are asked for, is given one with its refusal, and taken with it', async () => {
    const own = pair()
    const { secret } = await make({ sender: own.sender }, strict)
    const without = await call(secret, { dpop: proofFor(own, secret, {}, strict) }, strict)
    expect([without.status, without.json.code]).toEqual([401, 'proof_nonce_required'])
    expect(without.headers['www-authenticate']).toContain('error="use_dpop_nonce"')
    const nonce = String(without.headers['dpop-nonce'])
    expect((await call(secret, { dpop: proofFor(own, secret, { nonce }, strict) }, strict)).status).toBe(200)
    const made = `${nonce.slice(0, -2)}${nonce.endsWith('AA') ? 'BB' : 'AA'}`
    expect((await call(secret, { dpop: proofFor(own, secret, { nonce: made }, strict) }, strict)).json.code).toBe('proof_nonce_required')
  })

  it.each([{ kind: 'dpop' }, { kind: 'mac', thumbprint: 'A'.repeat(43) }, { kind: 'dpop', thumbprint: 'A'.repeat(42) }, 'dpop'])(
    'is not made of %j',
    async (sender) => {
      const body = { name: 'bound', scopes: ['proxy:call'], sender }
      const answer = await send(world, path(world), { method: 'POST', headers: asPerson(world.a.people.OWNER), body })
      expect(answer.json.code).toBe('validation_failed')
    },
  )
})

describe('N11 a key that is bound to a client certificate', () => {
  const certificate = () => {
    const { cert } = makeCertificate({ subject: 'a client' })
    const der = Buffer.from(cert.replaceAll(/-----[A-Z ]+-----|\s/gu, ''), 'base64')
    const thumbprint = createHash('sha256').update(der).digest('base64url')
    return { sender: { kind: 'certificate', thumbprint } as const, header: `:${der.toString('base64')}:` }
  }

  it('is taken with that certificate, as the trusted proxy names it, and refused with another or none', async () => {
    const [own, other] = [certificate(), certificate()]
    const { secret } = await make({ sender: own.sender })
    const call = (headers: Record<string, string | string[]>) => send(world, keysPath(world), { headers: { ...asKey(secret), ...headers } })
    expect((await call({ 'client-cert': own.header })).status).toBe(200)
    for (const [headers, code] of [
      [{}, 'certificate_required'],
      [{ 'client-cert': other.header }, 'certificate_mismatch'],
      [{ 'client-cert': [own.header, other.header] }, 'certificate_required'],
      [{ 'client-cert': `${own.header}, ${own.header}` }, 'certificate_required'],
      [{ 'client-cert': ':AAAA:' }, 'certificate_required'],
      [{ 'x-forwarded-client-cert': `Hash=${Buffer.from(own.sender.thumbprint, 'base64url').toString('hex')}` }, 'certificate_required'],
    ] as const) {
      const answer = await call(headers as Record<string, string | string[]>)
      expect([answer.status, answer.json.code]).toEqual([401, code])
      expect(answer.headers['www-authenticate']).toContain('Bearer')
    }
  })

  it('is refused when the header comes from one who is no trusted proxy, or no proxy is to name one', async () => {
    const own = certificate()
    const { secret } = await make({ sender: own.sender })
    const principal = await world.keys.authenticate(secret, '127.0.0.1')
    const request = { method: 'GET', url: '/', rawHeaders: ['Client-Cert', own.header], socket: { remoteAddress: '203.0.113.9' } as Socket }
    const admit = async (certificateHeader: 'client-cert' | undefined, trusted: boolean): Promise<unknown> => {
      const guard = guardOf({ certificateHeader, isTrustedPeer: (address) => trusted && address === '203.0.113.9' })
      return guard.admit(principal, { request, address: '198.51.100.1', key: secret, asBound: false })
    }
    await expect(admit('client-cert', true)).resolves.toBeUndefined()
    await expect(admit('client-cert', false)).rejects.toMatchObject({ code: 'certificate_required' })
    await expect(admit(undefined, true)).rejects.toMatchObject({ code: 'certificate_required' })
  })
})
