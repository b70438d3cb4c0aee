import { describe, expect, it } from 'vitest'
import { startHashicorp } from '../../../testkit/src/hashicorp/index.ts'
import type { Hashicorp, HashicorpBehaviour } from '../../../testkit/src/hashicorp/index.ts'
import { keySourceSuite, keyWrapperSuite } from '../../../testkit/src/suites/index.ts'
import { createEgress, DEFAULT_EGRESS_POLICY } from '../../src/http/index.ts'
import type { Egress } from '../../src/http/index.ts'
import { ManualClock, Secret } from '../../src/kernel/index.ts'
import { createHashicorpClient, kvSource, transitKey } from '../../src/keysources/index.ts'
import type { HashicorpAuth } from '../../src/keysources/index.ts'
import { QUICK } from './quick.ts'

const doorTo = (server: Hashicorp): Egress => createEgress({ ...DEFAULT_EGRESS_POLICY, insecureAllowOrigins: [server.address] })
const roleOf = (server: Hashicorp): HashicorpAuth => ({ roleId: server.roleId, secretId: new Secret(server.secretId) })
const tokenOf = (server: Hashicorp): HashicorpAuth => ({ token: new Secret(server.token) })
const PLACE = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }

const AWAY = ['throttled', 'internal', 'sealed', 'standby', 'silent', 'reset', 'trickle', 'cut'] as const
const HICCUPS = ['throttled', 'internal', 'sealed', 'reset', 'cut', 'slow'] as const
const WRONG = ['denied', 'page', 'flood'] as const
const LIES = ['stale', 'garbage'] as const
const failuresOf = (server: Hashicorp) =>
  Object.fromEntries(AWAY.map((way) => [way, { fail: () => server.behave(way), heal: () => server.behave('lawful') }]))
const waysOf = (server: Hashicorp, ways: readonly HashicorpBehaviour[], times?: number) =>
  Object.fromEntries(ways.map((way) => [way, () => server.behave(way, times)]))

for (const [kind, authOf] of [
  ['by token', tokenOf],
  ['by AppRole', roleOf],
] as const) {
  keyWrapperSuite(
    `of Vault transit, ${kind}`,
    async () => {
      const server = await startHashicorp()
      const egress = doorTo(server)
      const client = createHashicorpClient({ egress, address: server.address, auth: authOf(server), limits: QUICK })
      server.rotateTransitKey('one')
      server.rotateTransitKey('two')
      return {
        wrapper: transitKey(client, { mount: 'transit', name: 'one' }),
        other: transitKey(client, { mount: 'transit', name: 'two' }),
        asked: () => server.calls.length,
        failures: failuresOf(server),
        hiccups: waysOf(server, HICCUPS, 2),
        refusals: { ...waysOf(server, WRONG), 'the key is deleted': () => server.deleteTransitKey('one') },
        lies: waysOf(server, LIES),
        careless: () => server.behave('careless'),
        close: async () => {
          await egress.close()
          await server.close()
        },
      }
    },
    { failures: [...AWAY], hiccups: [...HICCUPS], refusals: [...WRONG, 'the key is deleted'], lies: [...LIES], careless: true },
  )
}

keySourceSuite(
  'Vault KV version 2',
  async () => {
    const server = await startHashicorp()
    const egress = doorTo(server)
    const client = createHashicorpClient({ egress, address: server.address, auth: tokenOf(server), limits: QUICK })
    const path = 'sallyport/root'
    const refusals: Record<string, () => void> = {
      ...waysOf(server, WRONG),
      'no such field': () => server.putSecret(path, { other: 'x' }),
    }
    return {
      source: kvSource(client, { mount: 'secret', path }, 5),
      publish: (text) => server.putSecret(path, { 'root-keys': text }),
      reads: () => server.calls.length,
      failures: failuresOf(server),
      refusals,
      close: async () => {
        await egress.close()
        await server.close()
      },
    }
  },
  { failures: [...AWAY], refusals: [...WRONG, 'no such field'] },
)

/** A server that says nothing but this. */
const saying = (status: number, body: unknown): Pick<Egress, 'fetch'> => ({ fetch: async () => Response.json(body, { status }) })

describe('calls to HashiCorp Vault', () => {
  it.each([
    [412, 'key_source_unavailable'],
    [429, 'key_source_unavailable'],
    [472, 'key_source_unavailable'],
    [473, 'key_source_unavailable'],
    [500, 'key_source_unavailable'],
    [501, 'key_source_unavailable'],
    [502, 'key_source_unavailable'],
    [503, 'key_source_unavailable'],
    [504, 'key_source_unavailable'],
    [400, 'key_source_refused'],
    [403, 'key_source_refused'],
    [404, 'key_source_refused'],
    [405, 'key_source_refused'],
    [204, 'key_source_refused'],
  ])('take status %d for %s, and pass on nothing that came with it', async (status, code) => {
    const egress =
      status === 204 ? { fetch: async () => new Response(null, { status }) } : saying(status, { errors: ['internal-host-7 said so'] })
    const client = createHashicorpClient({ egress, address: 'https://vault.example', auth: { token: new Secret('t') }, limits: QUICK })
    const error: unknown = await kvSource(client, { mount: 'secret', path: 'x' }, 5)
      .load()
      .catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code })
    expect(String(error)).not.toContain('internal-host-7')
  })

  it.each<[string, unknown]>([
    ['a deleted version', { data: { data: null, metadata: { version: 2, deletion_time: '2026-01-01T00:00:00Z' } } }],
    ['an empty field', { data: { data: { 'root-keys': '' }, metadata: { version: 1 } } }],
    ['a field that is no text', { data: { data: { 'root-keys': ['k1:00'] }, metadata: { version: 1 } } }],
    ['an engine of version 1', { data: { 'root-keys': 'k1:00' } }],
    ['an answer that is empty', {}],
  ])('take %s for no root keys', async (_name, body) => {
    const client = createHashicorpClient({
      egress: saying(200, body),
      address: 'https://v',
      auth: { token: new Secret('t') },
      limits: QUICK,
    })
    await expect(kvSource(client, { mount: 'secret', path: 'x' }, 5).load()).rejects.toMatchObject({ code: 'key_source_refused' })
  })

  it('log in once for many, again before the token ends, and again when it ended early', async () => {
    const server = await startHashicorp()
    const egress = doorTo(server)
    const clock = new ManualClock()
    const logins = (): number => server.calls.filter((call) => call.endsWith('/login')).length
    const client = createHashicorpClient({ egress, address: server.address, auth: roleOf(server), limits: QUICK, clock })
    server.rotateTransitKey('one')
    const key = transitKey(client, { mount: 'transit', name: 'one' })
    const wrapped = await Promise.all(Array.from({ length: 10 }, (_, n) => key.wrap(Buffer.alloc(32, n), PLACE)))
    expect(logins()).toBe(1)
    clock.advance(3_500_000)
    await key.unwrap(wrapped[0]!, PLACE)
    expect(logins()).toBe(2)
    server.revokeTokens()
    const opened = await Promise.all(wrapped.map((one) => key.unwrap(one, PLACE)))
    expect(opened).toEqual(wrapped.map((_, n) => Buffer.alloc(32, n)))
    expect(logins()).toBe(3)
    await egress.close()
    await server.close()
  })

  it('refuse a wrong secret id and a token without rights, and name their namespace', async () => {
    const server = await startHashicorp()
    const egress = doorTo(server)
    const refused = { code: 'key_source_refused' }
    for (const auth of [{ roleId: server.roleId, secretId: new Secret('wrong') }, { token: new Secret('wrong') }]) {
      const client = createHashicorpClient({ egress, address: server.address, auth, namespace: 'team', limits: QUICK })
      await expect(transitKey(client, { mount: 'transit', name: 'one' }).wrap(Buffer.alloc(32, 1), PLACE)).rejects.toMatchObject(refused)
    }
    expect(new Set(server.namespaces)).toEqual(new Set(['team']))
    await egress.close()
    await server.close()
  })

  it('unwrap under older versions of a transit key after its own rotation', async () => {
    const server = await startHashicorp()
    const egress = doorTo(server)
    const client = createHashicorpClient({ egress, address: server.address, auth: tokenOf(server), limits: QUICK })
    server.rotateTransitKey('one')
    const key = transitKey(client, { mount: 'transit', name: 'one' })
    const before = await key.wrap(Buffer.alloc(32, 7), PLACE)
    server.rotateTransitKey('one')
    const after = await key.wrap(Buffer.alloc(32, 8), PLACE)
    expect([before.includes('vault:v1:'), after.includes('vault:v2:')]).toEqual([true, true])
    expect([await key.unwrap(before, PLACE), await key.unwrap(after, PLACE)]).toEqual([Buffer.alloc(32, 7), Buffer.alloc(32, 8)])
    await egress.close()
    await server.close()
  })
})
