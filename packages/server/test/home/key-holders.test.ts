import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import { createLogger, generateKeyBytes, hmacSha256, ManualClock, newId, noMetrics, Secret, systemClock } from '@sallyport/core'
import type { Clock, OrgId } from '@sallyport/core'
import { makeCertificate } from '../../../core/test/http/certificates.ts'
import { startAws } from '../../../testkit/src/aws/index.ts'
import type { Aws, AwsBehaviour } from '../../../testkit/src/aws/index.ts'
import { startHashicorp } from '../../../testkit/src/hashicorp/index.ts'
import type { Hashicorp, HashicorpBehaviour } from '../../../testkit/src/hashicorp/index.ts'
import { startSoftHsm } from '../../../testkit/src/softhsm/index.ts'
import type { SoftHsm } from '../../../testkit/src/softhsm/index.ts'
import { loadConfig } from '../../src/config.ts'
import { dataKeyList, organizationCreate } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { openRootKeys } from '../../src/home/index.ts'
import type { OpenRootKeys } from '../../src/home/index.ts'
import { problemFor } from '../../src/http/index.ts'
import { createKeeper, createVault } from '../../src/vault/index.ts'
import type { Keeper, TenantPlace, Vault } from '../../src/vault/index.ts'
import { freshDatabase, silent } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

const PLACE: TenantPlace = { purpose: 'credential', table: 'credential_version', column: 'sealed', record: 'a-record', seq: 1n }
const canary = new Secret(`canary-${newId('req')}`)
const keyText = (id: string): string => `${id}:${generateKeyBytes().toString('hex')}`

interface Node {
  readonly rootKeys: OpenRootKeys
  readonly vault: Vault
  close(): Promise<void>
}

let fresh: FreshDatabase
let database: Database
let folder: string
let log: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-keys-'))
})
afterAll(() => rm(folder, { recursive: true, maxRetries: 10 }))
beforeEach(async () => {
  log = []
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterEach(() => {
  vi.unstubAllEnvs()
  return fresh.drop()
})

/** A node as compose makes one, with these settings and a data folder without root keys. */
async function start(settings: Readonly<Record<string, string>>, more: { clock?: Clock; on?: Database } = {}): Promise<Node> {
  const env: Record<string, string> = { SALLYPORT_MODE: 'development', SALLYPORT_DATA_DIR: join(folder, 'no-such-data') }
  for (const [name, value] of Object.entries(settings)) env[`SALLYPORT_${name}`] = value
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  const rootKeys = await openRootKeys(loadConfig({ env, readFile: noFile }), false, logger)
  const vault = createVault({
    database: more.on ?? database,
    keyring: rootKeys.keys,
    clock: more.clock ?? systemClock,
    logger,
    rereadRootKeys: () => rootKeys.reread(),
  })
  const close = async (): Promise<void> => {
    vault.close()
    await rootKeys.close()
  }
  try {
    await vault.checkRootKeys()
  } catch (error) {
    await close()
    throw error
  }
  return { rootKeys, vault, close }
}

function noFile(): never {
  throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
}

async function sealNew(vault: Vault, on = database): Promise<{ org: OrgId; envelope: Buffer; under: string | null | undefined }> {
  const org = newId('org')
  const envelope = await on.withTenant(org, async (tx) => {
    await organizationCreate(tx, { name: 'An organization' })
    return vault.seal(tx, PLACE, canary)
  })
  const [key] = await on.withTenant(org, dataKeyList)
  return { org, envelope, under: key?.rootKeyId }
}

const keeperOf = ({ vault }: Node): Keeper =>
  createKeeper({ database, vault, clock: systemClock, logger: silent, metrics: noMetrics, rotateAfterDays: 0 })

const kmsSettings = (aws: Aws, ...arns: string[]): Record<string, string> => ({
  KEYS_AWS_KMS_KEYS: arns.join(),
  KEYS_AWS_KMS_ENDPOINT: aws.endpoint,
  KEYS_AWS_ACCESS_KEY_ID: aws.accessKeyId,
  KEYS_AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
})
const idOf = (arn: string): string => `aws-kms.${arn.split('/')[1]}`

const tokenSettings = (hsm: SoftHsm, ...keys: string[]): Record<string, string> => ({
  KEYS_PKCS11_MODULE: hsm.module,
  KEYS_PKCS11_TOKEN_LABEL: hsm.label,
  KEYS_PKCS11_PIN: hsm.pin,
  KEYS_PKCS11_KEYS: keys.join(),
})

/** The module finds its tokens by a variable, which it is given on. */
async function startToken(): Promise<SoftHsm> {
  const hsm = await startSoftHsm()
  for (const [name, value] of Object.entries(hsm.environment)) vi.stubEnv(name, value)
  return hsm
}

describe('root keys of a mounted folder', () => {
  it('are taken without a restart when they change, and only when they are the right ones', async () => {
    const mount = await mkdtemp(join(folder, 'mount-'))
    const put = async (text: string): Promise<void> => {
      await writeFile(join(mount, 'new'), text)
      await rename(join(mount, 'new'), join(mount, 'root-keys'))
    }
    const first = keyText('r1')
    await put(first)
    const node = await start({ KEYS_SOURCE: `folder:${mount}`, KEYS_RELOAD_MS: '1000' })
    node.rootKeys.watch((keys) => node.vault.useRootKeys(keys))
    const before = await sealNew(node.vault)
    expect(before.under).toBe('r1')

    const said = (text: string): boolean => log.some((line) => line.includes(text))
    await put(keyText('r1'))
    await expect.poll(() => said('root_key_wrong'), { timeout: 10_000 }).toBe(true)
    await put('r2:open sesame')
    await expect.poll(() => said('key_source_refused'), { timeout: 10_000 }).toBe(true)
    expect((await sealNew(node.vault)).under).toBe('r1')

    await put(`${keyText('r2')},${first}\n`)
    await expect.poll(() => said('Took changed root keys'), { timeout: 10_000 }).toBe(true)
    expect((await sealNew(node.vault)).under).toBe('r2')
    expect((await node.vault.open(before.org, PLACE, before.envelope)).reveal()).toBe(canary.reveal())
    expect(log.join('\n')).not.toContain(first.slice(4, 30))
    expect(log.join('\n')).not.toContain('sesame')
    await node.close()
  })

  it('that is not mounted refuses the start, and makes nothing', async () => {
    const absent = join(folder, 'not-mounted')
    await expect(start({ KEYS_SOURCE: `folder:${absent}` })).rejects.toMatchObject({ code: 'key_source_unavailable' })
    await mkdir(absent)
    await writeFile(join(absent, 'root-keys'), 'k1:0000')
    await expect(start({ KEYS_SOURCE: `folder:${absent}` })).rejects.toMatchObject({
      code: 'key_source_refused',
      message: expect.stringContaining('key 1 is not 32 bytes') as string,
    })
    expect((await database.system.rootKeys()).size).toBe(0)
  })
})

/** A service that holds root keys, and how it can go wrong. */
interface Holder {
  readonly settings: Record<string, string>
  readonly go: (way: string) => void
  readonly close: () => Promise<void>
}

interface HolderKind {
  readonly ways: readonly string[]
  readonly make: () => Promise<Holder>
  /** Where two can't be told apart by one process: a module finds its tokens by a variable. */
  readonly oneByOne?: true
}

const HOLDERS: Readonly<Record<string, HolderKind>> = {
  'AWS KMS': {
    ways: ['throttled', 'internal', 'silent', 'trickle', 'reset', 'moved', 'page', 'denied', 'disabled', 'other_key', 'garbage'],
    make: async () => {
      const aws = await startAws()
      const settings = { KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, aws.createKey()) }
      return { settings, go: (way) => aws.behave(way as AwsBehaviour), close: () => aws.close() }
    },
  },
  'Vault transit': {
    ways: ['throttled', 'internal', 'sealed', 'standby', 'silent', 'trickle', 'reset', 'page', 'denied', 'garbage'],
    make: async () => {
      const server = await startHashicorp()
      server.rotateTransitKey('sallyport')
      const settings = {
        KEYS_WRAPPER: 'vault-transit',
        KEYS_VAULT_TRANSIT_KEYS: 'sallyport',
        KEYS_VAULT_ADDRESS: server.address,
        KEYS_VAULT_TOKEN: server.token,
      }
      return { settings, go: (way) => server.behave(way as HashicorpBehaviour), close: () => server.close() }
    },
  },
  'a device': {
    ways: ['the module hangs', 'the token is removed', 'the key is gone'],
    oneByOne: true,
    make: async () => {
      const hsm = await startToken()
      await hsm.makeKey('root')
      const heals: (() => void)[] = []
      const turns: Readonly<Record<string, readonly [() => void, () => void]>> = {
        'the module hangs': [() => hsm.hang(), () => hsm.unhang()],
        'the token is removed': [() => hsm.remove(), () => hsm.putBack()],
        'the key is gone': [() => hsm.hideKeys(), () => hsm.showKeys()],
      }
      return {
        settings: { KEYS_WRAPPER: 'pkcs11', ...tokenSettings(hsm, 'root') },
        go: (way) => {
          if (way === 'lawful') return heals.splice(0).forEach((heal) => heal())
          const [fail, heal] = turns[way]!
          fail()
          heals.push(heal)
        },
        close: () => hsm.close(),
      }
    },
  },
}

/** One gateway, one service and a database of their own: several stand in their failures side by side. */
async function standsWhile(way: string, make: () => Promise<Holder>): Promise<void> {
  const own = await freshDatabase(inject('postgresUrl'))
  const on = await own.open()
  const holder = await make()
  const clock = new ManualClock()
  const node = await start(holder.settings, { clock, on })
  const { vault } = node
  const { org, envelope } = await sealNew(vault, on)
  const opened = async (): Promise<string> => (await vault.open(org, PLACE, envelope)).reveal()
  await expect.poll(async () => (await opened(), vault.openCached(org, PLACE, envelope)), { message: way }).toBeDefined()
  holder.go(way)
  clock.advance(599_000)
  expect(await opened(), way).toBe(canary.reveal())
  clock.advance(1_000)
  expect(vault.openCached(org, PLACE, envelope), way).toBeUndefined()
  const refused = await Promise.allSettled([
    opened(),
    on.withTenant(org, (tx) => vault.openIn(tx, PLACE, envelope)),
    // Nothing is sealed either: neither for the organization that has a key, nor for a new one under some other.
    on.withTenant(org, (tx) => vault.seal(tx, PLACE, canary)),
    sealNew(vault, on),
  ])
  for (const each of refused) {
    const problem = each.status === 'rejected' ? problemFor(each.reason, 'req_0') : undefined
    expect([way, problem?.status, problem?.code]).toEqual([way, 503, 'key_unavailable'])
  }
  expect(await own.asSuperuser('select count(*)::int as keys from sallyport.data_key'), way).toEqual([{ keys: 1 }])
  holder.go('lawful')
  await expect.poll(() => opened().catch(() => undefined), { timeout: 20_000, message: way }).toBe(canary.reveal())
  await node.close()
  await holder.close()
  await own.drop()
}

describe.each(Object.entries(HOLDERS))('a running gateway whose root keys %s holds', (_name, { ways, make, oneByOne }) => {
  it(
    `C-09 goes on with data keys in memory for their time, then answers 503, and heals by itself: ${ways.join(', ')}`,
    { timeout: 180_000 },
    async () => {
      if (oneByOne) for (const way of ways) await standsWhile(way, make)
      else await Promise.all(ways.map((way) => standsWhile(way, make)))
      expect(log.join('\n')).not.toContain(canary.reveal())
    },
  )
})

describe('a root key that only other nodes were given so far', () => {
  it('C-09 is read from the source when it is met, at most every few seconds, and the call goes through', async () => {
    const aws = await startAws()
    const [r1, r2] = [keyText('r1'), keyText('r2')]
    const arn = aws.putSecret(r1)
    // An hour between readings: what is learned in this test is learned by need.
    const settings = {
      KEYS_SOURCE: 'aws-secrets-manager',
      KEYS_AWS_SECRET: arn,
      KEYS_RELOAD_MS: '3600000',
      KEYS_AWS_SECRETS_MANAGER_ENDPOINT: aws.endpoint,
      KEYS_AWS_ACCESS_KEY_ID: aws.accessKeyId,
      KEYS_AWS_SECRET_ACCESS_KEY: aws.secretAccessKey,
    }
    const behind = await start(settings)
    behind.rootKeys.watch((keys) => behind.vault.useRootKeys(keys))
    const ahead = await start({ ENCRYPTION_KEYS: `${r2},${r1}` })
    const { org, envelope } = await sealNew(ahead.vault)
    const reads = (): number => aws.calls.filter((call) => call.includes('GetSecretValue')).length
    const before = reads()
    const opening = () => Promise.allSettled(Array.from({ length: 20 }, () => behind.vault.open(org, PLACE, envelope)))
    // Not there yet: said as what it is, and the place is asked once for all.
    for (const each of await opening()) expect(each).toMatchObject({ reason: { code: 'root_key_missing' } })
    aws.putSecret(`${r2},${r1}`, arn)
    await opening()
    expect(reads() - before).toBe(1)
    await expect.poll(async () => (await opening()).every(({ status }) => status === 'fulfilled'), { timeout: 15_000 }).toBe(true)
    expect(reads() - before).toBe(2)
    await Promise.all([behind.close(), ahead.close()])
    await aws.close()
  })
})

describe('root keys of a service', () => {
  it('C-09 take over from those of the configuration, which are needed until everything was rewrapped', async () => {
    const aws = await startAws()
    const key = aws.createKey()
    const configured = { ENCRYPTION_KEYS: keyText('env-1') }
    const before = await start(configured)
    const old = await sealNew(before.vault)
    await before.close()

    const both = await start({ ...configured, KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, key) })
    expect((await both.vault.open(old.org, PLACE, old.envelope)).reveal()).toBe(canary.reveal())
    const moved = await sealNew(both.vault)
    expect([old.under, moved.under]).toEqual(['env-1', idOf(key)])
    await both.close()

    await expect(start({ KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, key) })).rejects.toMatchObject({ code: 'root_key_missing' })
    const back = await start({ ...configured, ...kmsSettings(aws, key) })
    expect((await back.vault.open(moved.org, PLACE, moved.envelope)).reveal()).toBe(canary.reveal())
    expect((await sealNew(back.vault)).under).toBe('env-1')
    await back.close()

    const moving = await start({ ...configured, KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, key) })
    const pepper = hmacSha256(await moving.vault.systemSecret('key_pepper'), 'x')
    const keeper = keeperOf(moving)
    const report = await keeper.rotateRoot('system')
    expect([report.to, report.dataKeys, report.unreadable]).toEqual([idOf(key), 2, 0])
    await keeper.removeRootKey('env-1', 'system')
    await moving.close()

    const alone = await start({ KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, key) })
    for (const { org, envelope } of [old, moved]) expect((await alone.vault.open(org, PLACE, envelope)).reveal()).toBe(canary.reveal())
    expect(hmacSha256(await alone.vault.systemSecret('key_pepper'), 'x').equals(pepper)).toBe(true)
    await alone.close()
    await aws.close()
  })

  it('C-01 refuse the start when the service is away, refuses, or holds another key under that name', async () => {
    const aws = await startAws()
    const key = aws.createKey()
    const settings = { KEYS_WRAPPER: 'aws-kms', ...kmsSettings(aws, key) }
    await (await start(settings)).close()
    aws.behave('denied')
    await expect(start(settings)).rejects.toMatchObject({ code: 'key_source_refused' })
    aws.behave('throttled')
    await expect(start(settings)).rejects.toMatchObject({ code: 'key_source_unavailable' })
    await aws.close()
    await fresh.asSuperuser('delete from sallyport.root_key')
    const [one, another] = [await startHashicorp(), await startHashicorp()]
    const transit = (server: Hashicorp): Record<string, string> => ({
      KEYS_WRAPPER: 'vault-transit',
      KEYS_VAULT_TRANSIT_KEYS: 'same-name',
      KEYS_VAULT_ADDRESS: server.address,
      KEYS_VAULT_TOKEN: server.token,
    })
    for (const server of [one, another]) server.rotateTransitKey('same-name')
    await (await start(transit(one))).close()
    await expect(start(transit(another))).rejects.toMatchObject({ code: 'root_key_wrong' })
    await one.close()
    await another.close()
  })

  it('are of Vault as well, behind its own certificate authority and at an internal address', async () => {
    const root = makeCertificate({ subject: 'Internal Root', authority: true })
    const leaf = makeCertificate({ subject: 'localhost', names: ['localhost'], issuer: root })
    const server = await startHashicorp({ cert: leaf.cert, key: leaf.key })
    server.rotateTransitKey('sallyport')
    server.putSecret('sallyport/root', { 'root-keys': keyText('kv-1') })
    const settings = {
      KEYS_SOURCE: 'vault-kv',
      KEYS_VAULT_KV_PATH: 'sallyport/root',
      KEYS_WRAPPER: 'vault-transit',
      KEYS_VAULT_TRANSIT_KEYS: 'sallyport',
      KEYS_VAULT_ADDRESS: server.address.replace('127.0.0.1', 'localhost'),
      KEYS_VAULT_ROLE_ID: server.roleId,
      KEYS_VAULT_SECRET_ID: server.secretId,
    }
    await expect(start(settings)).rejects.toMatchObject({
      code: 'key_source_refused',
      message: expect.stringContaining('upstream_tls') as string,
    })
    const node = await start({ ...settings, KEYS_VAULT_CA_CERTIFICATES: root.cert })
    expect(node.rootKeys.keys.ids).toEqual(['transit.sallyport', 'kv-1'])
    const sealed = await sealNew(node.vault)
    expect(sealed.under).toBe('transit.sallyport')
    const other = await start({ ...settings, KEYS_VAULT_CA_CERTIFICATES: root.cert })
    expect((await other.vault.open(sealed.org, PLACE, sealed.envelope)).reveal()).toBe(canary.reveal())
    expect(await other.vault.systemSecret('key_pepper')).toBeDefined()
    await other.close()
    await node.close()
    await server.close()
  })
})

describe('root keys of a device', () => {
  it('C-09 take over from those of the configuration and from one another, and nothing is left behind unread', async () => {
    const hsm = await startToken()
    await hsm.makeKey('root-2026')
    await hsm.makeKey('root-2027', { id: 'c0ffee' })
    const configured = { ENCRYPTION_KEYS: keyText('env-1') }
    const before = await start(configured)
    const sealed = [await sealNew(before.vault)]
    await before.close()

    const moving = await start({ ...configured, KEYS_WRAPPER: 'pkcs11', ...tokenSettings(hsm, 'root-2026') })
    sealed.push(await sealNew(moving.vault))
    expect(sealed.map(({ under }) => under)).toEqual(['env-1', 'pkcs11.root-2026'])
    const moved = await keeperOf(moving).rotateRoot('system')
    expect([moved.to, moved.dataKeys, moved.unreadable]).toEqual(['pkcs11.root-2026', 1, 0])
    await keeperOf(moving).removeRootKey('env-1', 'system')
    await moving.close()

    const turning = await start({ KEYS_WRAPPER: 'pkcs11', ...tokenSettings(hsm, 'id:c0ffee', 'root-2026') })
    const turned = await keeperOf(turning).rotateRoot('system')
    expect([turned.to, turned.dataKeys, turned.unreadable]).toEqual(['pkcs11-id.c0ffee', 2, 0])
    await keeperOf(turning).removeRootKey('pkcs11.root-2026', 'system')
    await turning.close()

    const alone = await start({ KEYS_WRAPPER: 'pkcs11', ...tokenSettings(hsm, 'id:c0ffee') })
    for (const { org, envelope } of sealed) expect((await alone.vault.open(org, PLACE, envelope)).reveal()).toBe(canary.reveal())
    await alone.close()
    expect(log.join('\n')).not.toContain(hsm.pin)
    await hsm.close()
  })

  it('C-01 refuse the start when the PIN is wrong, the token is away, or holds another key under that name, or one that it would give out', async () => {
    const hsm = await startToken()
    await hsm.makeKey('root')
    await hsm.makeKey('open', { extractable: true })
    const settings = { KEYS_WRAPPER: 'pkcs11', ...tokenSettings(hsm, 'root') }
    await (await start(settings)).close()
    const refused = { code: 'key_source_refused' }
    await expect(start({ ...settings, KEYS_PKCS11_PIN: '0000' })).rejects.toMatchObject(refused)
    await expect(start({ ...settings, KEYS_PKCS11_KEYS: 'absent,root' })).rejects.toMatchObject(refused)
    await expect(start({ ...settings, KEYS_PKCS11_KEYS: 'open,root' })).rejects.toMatchObject(refused)
    await expect(start({ ...settings, KEYS_PKCS11_MODULE: '/nowhere.so' })).rejects.toMatchObject(refused)
    hsm.remove()
    await expect(start(settings)).rejects.toMatchObject({ code: 'key_source_unavailable' })
    hsm.putBack()
    await (await start(settings)).close()
    await hsm.close()

    const another = await startToken()
    await another.makeKey('root')
    await expect(start({ KEYS_WRAPPER: 'pkcs11', ...tokenSettings(another, 'root') })).rejects.toMatchObject({ code: 'root_key_wrong' })
    expect(log.join('\n')).not.toContain(hsm.pin)
    await another.close()
  })
})
