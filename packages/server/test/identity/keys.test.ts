import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createLogger, formatId, generateKeyBytes, mintGatewayKey, newId, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { Clock, KeyId } from '@sallyport/core'
import { apiKeyInsert, apiKeyRevoke, apiKeyUpdate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { argon2idHasher, createKeyAuthenticator, IdentityError } from '../../src/identity/index.ts'
import type { KeyAuthenticator, KeyHasher } from '../../src/identity/index.ts'
import { createVault } from '../../src/vault/index.ts'
import { freshDatabase, lineTo, makeTenant } from '../db/fresh-database.ts'
import type { FreshDatabase, Line, Tenant } from '../db/fresh-database.ts'

const ADDRESS = '203.0.113.7'
const keyring = RootKeyring.parse(new Secret(`k1:${generateKeyBytes().toString('hex')}`))
const logger = createLogger({ level: 'silent', format: 'json' })

/** A gateway's share of one installation: its own connections, vault and memory. */
interface Node {
  readonly database: Database
  readonly keys: KeyAuthenticator
  readonly hasher: { verified: number }
}

let fresh: FreshDatabase
let line: Line
let tenant: Tenant
let one: Node
let two: Node
/** Reaches the database over a line that can be cut. */
let remote: Node

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  line = await lineTo(fresh.url)
  one = await startNode()
  two = await startNode()
  remote = await startNode({ url: line.url })
  tenant = await makeTenant(one.database)
})
afterAll(async () => {
  for (const { keys } of [one, two, remote]) keys.close()
  await fresh.drop()
  await line.cut()
})

async function startNode(options: { url?: Secret; clock?: Clock } = {}): Promise<Node> {
  const database = await fresh.open(options.url === undefined ? {} : { url: options.url })
  const vault = createVault({ database, keyring, clock: systemClock, logger })
  await vault.checkRootKeys()
  const pepper = await vault.systemSecret('key_pepper')
  vault.close()
  const hasher = { ...argon2idHasher, verified: 0 }
  const counted: KeyHasher = {
    hash: (secret) => argon2idHasher.hash(secret),
    verify: (stored, secret) => {
      hasher.verified += 1
      return argon2idHasher.verify(stored, secret)
    },
  }
  const { clock = systemClock } = options
  const keys = createKeyAuthenticator({
    lookups: database.lookups,
    onChange: (listener) => database.onChange(listener),
    pepper,
    clock,
    logger,
    hasher: counted,
  })
  return { database, keys, hasher }
}

async function makeKey(expiresAt: Date | null = null, createdBy = 'system'): Promise<{ id: KeyId; text: string }> {
  const id = newId('key')
  const { text, hmac, argon2id } = await one.keys.mint('test', id, tenant.org)
  const hashes = { secretHmac: hmac, secretArgon2id: argon2id }
  await one.database.withTenant(tenant.org, (tx) =>
    apiKeyInsert(tx, {
      ...tenant.place,
      ...hashes,
      id,
      name: 'A key',
      scopes: ['proxy:call'],
      connection: null,
      createdBy,
      expiresAt,
    }),
  )
  return { id, text: text.reveal() }
}

async function outcome(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'accepted',
    (error: unknown) => (error instanceof IdentityError ? error.code : `unexpected ${String(error)}`),
  )
}

async function databaseNow(): Promise<Date> {
  const [row] = await fresh.asSuperuser<{ now: Date }>('select clock_timestamp() as now')
  return row!.now
}

/** Resolves with the next change of this key that the node hears of. Its own authenticator heard of it before: listeners run in order. */
function heard(node: Node, id: KeyId): Promise<void> {
  return new Promise((resolve) => {
    const stop = node.database.onChange((change) => {
      if (change === 'unknown' || change.id !== id) return
      stop()
      resolve()
    })
  })
}

describe('gateway keys on a real database', () => {
  it('are accepted on every node, from the row alone, with one argon2 each', async () => {
    const { id, text } = await makeKey()
    for (const { keys, hasher } of [one, two]) {
      const before = hasher.verified
      const principal = await keys.authenticate(text, ADDRESS)
      expect(principal).toMatchObject({ keyId: id, org: tenant.org, project: tenant.project, environment: 'test', connection: null })
      expect([...principal.scopes]).toEqual(['proxy:call'])
      await Promise.all(Array.from({ length: 20 }, () => keys.authenticate(text, ADDRESS)))
      expect(hasher.verified - before).toBe(1)
      expect(keys.cached(text)).toBe(principal)
    }
  })

  it('K-04 revoked on one node are refused on the others as soon as they hear of it', async () => {
    const { id, text } = await makeKey()
    for (const { keys } of [one, two]) await keys.authenticate(text, ADDRESS)
    const news = [heard(one, id), heard(two, id)]
    await one.database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, id))
    await Promise.all(news)
    for (const { keys } of [one, two]) {
      expect(keys.cached(text)).toBeUndefined()
      expect(await outcome(keys.authenticate(text, ADDRESS))).toBe('unauthenticated')
    }
  })

  it('R-12 held to other addresses on one node are so on the others as soon as they hear of it, with the keys that came of them', async () => {
    const maker = await makeKey()
    const child = await makeKey(null, formatId('key', maker.id))
    const own = ({ keys }: Node) => Promise.all([maker.text, child.text].map((text) => keys.authenticate(text, ADDRESS)))
    for (const node of [one, two]) expect((await own(node)).map(({ bounds }) => bounds)).toEqual([null, null])
    const news = [one, two].flatMap((node) => [heard(node, maker.id), heard(node, child.id)])
    await one.database.withTenant(tenant.org, (tx) => apiKeyUpdate(tx, tenant.place, maker.id, { allowedAddresses: ['198.51.100.0/24'] }))
    await Promise.all(news)
    const held = [[{ bytes: Uint8Array.from([198, 51, 100, 0]), bits: 24 }]]
    for (const node of [one, two]) {
      expect(node.keys.cached(child.text)).toBeUndefined()
      expect((await own(node)).map(({ bounds }) => bounds?.addresses)).toEqual([held, held])
    }
  })

  // The nodes' wall clocks are wrong by two minutes either way.
  it.each([-120_000, 120_000])('K-03 expire by the database clock on a node that is off by %i ms', async (skewMs) => {
    const clock: Clock = { now: () => systemClock.now() + skewMs, monotonic: () => systemClock.monotonic() }
    const { keys } = await startNode({ clock })
    onTestFinished(() => keys.close())
    const expiresAt = new Date((await databaseNow()).getTime() + 3_000)
    const { text } = await makeKey(expiresAt)
    expect(await outcome(keys.authenticate(text, ADDRESS))).toBe('accepted')
    let acceptedAfterwards = 0
    for (let over = false; !over;) {
      // Asked before the call: once the database says it is over, no call that follows may pass.
      const isOver = (await databaseNow()) >= expiresAt
      const result = await outcome(keys.authenticate(text, ADDRESS))
      if (isOver && result === 'accepted') acceptedAfterwards += 1
      over = isOver
    }
    expect(acceptedAfterwards).toBe(0)
    expect(keys.cached(text)).toBeUndefined()
  })

  it('D-01 bad ones cost no argon2, known id or not', async () => {
    const { id } = await makeKey()
    const before = one.hasher.verified
    for (let i = 0; i < 200; i++) {
      const bad = mintGatewayKey('test', i % 2 === 0 ? id : newId('key')).text.reveal()
      expect(await outcome(one.keys.authenticate(bad, `192.0.2.${i}`))).toBe('unauthenticated')
    }
    expect(one.hasher.verified).toBe(before)
  })

  it('K-02 leave nothing in the database from which a secret can be checked without the pepper', async () => {
    const { id, text } = await makeKey()
    const secret = text.split('_')[3]!
    const [row] = await fresh.asSuperuser<Record<string, unknown>>('select * from sallyport.api_key where id = $1', [id])
    const dump = JSON.stringify(row, (_, value: unknown) => (Buffer.isBuffer(value) ? value.toString('hex') : value))
    const [sealed] = await fresh.asSuperuser<{ sealed: Buffer }>(`select sealed from sallyport.system_secret where name = 'key_pepper'`)
    expect(dump).not.toContain(secret)
    expect(dump).not.toContain(Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(secret))).toString('hex'))
    expect(row?.['secret_argon2id']).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(sealed?.sealed.length).toBeGreaterThan(32)
  })

  it('go on for a while without the database when they were proven, and are unavailable when they were not', async () => {
    const [proven, cold] = [await makeKey(), await makeKey()]
    await remote.keys.authenticate(proven.text, ADDRESS)
    await line.cut()
    expect(await outcome(remote.keys.authenticate(proven.text, ADDRESS))).toBe('accepted')
    expect(await outcome(remote.keys.authenticate(cold.text, ADDRESS))).toBe('database_unavailable')
    const missed = new Promise<void>((resolve) => {
      const stop = remote.database.onChange((change) => {
        if (change !== 'unknown') return
        stop()
        resolve()
      })
    })
    // Revoked while this node could not hear of it: it knows that it may have missed something, and reads again.
    await one.database.withTenant(tenant.org, (tx) => apiKeyRevoke(tx, tenant.place, proven.id))
    await line.restore()
    await missed
    expect(await outcome(remote.keys.authenticate(proven.text, ADDRESS))).toBe('unauthenticated')
    expect(await outcome(remote.keys.authenticate(cold.text, ADDRESS))).toBe('accepted')
  })
})
