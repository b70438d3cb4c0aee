import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgePath, parseApiBase } from '../../src/http/index.ts'
import type { ApiBase, Egress, ResolvedAddress } from '../../src/http/index.ts'
import { Cleanup, testEgress } from './listeners.ts'

const cleanup = new Cleanup()
const canary = { connections: 0, port: 0 }
let policy: { insecureAllowOrigins: string[]; allowedPorts: number[] }
let egress: Egress
/** Names that a corpus entry makes resolve to an internal address. */
const zone = new Map<string, ResolvedAddress[]>()

/** Canaries on every loopback a machine has, all on one port, which the policy allows: only the address stands in the way. */
beforeAll(async () => {
  const listen = async (host: string, port: number) => {
    const server = net.createServer((socket) => {
      canary.connections += 1
      socket.destroy()
    })
    server.listen(port, host)
    await once(server, 'listening')
    cleanup.add(() => server.close())
    return (server.address() as AddressInfo).port
  }
  canary.port = await listen('127.0.0.1', 0)
  for (const host of ['127.0.0.2', '::1']) await listen(host, canary.port).catch(() => undefined)
  policy = { insecureAllowOrigins: ['http://127.0.0.1:7256'], allowedPorts: [443, canary.port] }
  egress = testEgress(cleanup, {
    ...policy,
    connectTimeoutMs: 1_000,
    resolver: async (hostname) => zone.get(hostname) ?? Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })),
  })
})
afterAll(() => cleanup.run())

const INTERNAL = [
  '127.0.0.1',
  '127.0.0.2',
  '127.255.255.254',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '100.100.100.200',
  '169.254.169.254',
  '0.0.0.0',
  '255.255.255.255',
  '224.0.0.1',
  '198.18.0.1',
  '192.0.0.192',
  '168.63.129.16',
  '240.0.0.1',
]

function spellingsOfIpv4(address: string): string[] {
  const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]
  const whole = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  const octal = (n: number) => `0${n.toString(8)}`
  const hex = (n: number) => `0x${n.toString(16)}`
  const low = (b << 16) | (c << 8) | d
  const wide = (text: string) => text.replace(/[0-9.]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0))
  const h1 = ((a << 8) | b).toString(16)
  const h2 = ((c << 8) | d).toString(16)
  return [
    address,
    `${address}.`,
    String(whole),
    hex(whole),
    `0x${whole.toString(16).padStart(16, '0')}`,
    octal(whole),
    `${octal(a)}.${octal(b)}.${octal(c)}.${octal(d)}`,
    `${hex(a)}.${hex(b)}.${hex(c)}.${hex(d)}`,
    `${hex(a)}.${low}`,
    `${a}.${low}`,
    `${a}.${b}.${(c << 8) | d}`,
    `${octal(a)}.${hex(low)}`,
    `000000${octal(a)}.${b}.${c}.${d}`,
    `${a + 256}.${b}.${c}.${d}`,
    wide(address),
    address.replaceAll('.', '\u3002'),
    address.replaceAll('.', '%2e'),
    `%3${String(address[0])}${address.slice(1)}`,
    `[::ffff:${address}]`,
    `[::ffff:${h1}:${h2}]`,
    `[::${address}]`,
    `[::${h1}:${h2}]`,
    `[::ffff:0:${address}]`,
    `[64:ff9b::${address}]`,
    `[64:ff9b::${h1}:${h2}]`,
    `[64:ff9b:1::${h1}:${h2}]`,
    `[2002:${h1}:${h2}::]`,
    `[2001:0:${h1}:${h2}::1]`,
    `[0:0:0:0:0:ffff:${h1}:${h2}]`,
    `[2606:4700::5efe:${h1}:${h2}]`,
  ]
}

const OTHER_HOSTS = [
  'localhost',
  'LOCALHOST',
  'localhost.',
  'localhost.localdomain',
  'ip6-localhost',
  'metadata',
  'metadata.google.internal',
  'kubernetes.default.svc',
  'host.docker.internal',
  'intranet',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::1%25lo]',
  '[fe80::1]',
  '[fe80::1%25eth0]',
  '[fe80::1%eth0]',
  '[fc00::1]',
  '[fd00:ec2::254]',
  '[ff02::1]',
  '[2001:db8::1]',
  '[3fff::1]',
  '[100::1]',
  '[5f00::1]',
  '[4000::1]',
  '0',
  '0x0',
  '127.1',
  '127.0.1',
  '0x7f.1',
  '0177.1',
  '017700000001',
  '2130706433',
  '①②⑦.⓪.⓪.①',
  'ⓛⓞⓒⓐⓛⓗⓞⓢⓣ',
  'loc\u00adalhost',
  'api.example@127.0.0.1',
  '127.0.0.1@api.example',
  'api.example%00@127.0.0.1',
  'api.example\\@127.0.0.1',
  'api.example#@127.0.0.1',
  'api.example?@127.0.0.1',
  '127.0.0.1\\.api.example',
  '127.0.0.1%0d%0a',
  '127.0.0.1%09',
  '127.0.0.1 .api.example',
]

/** Forms of names that a real resolver gives for an internal address: rebinding services, wildcard zones, mixed answers. */
function namesFor(address: string, index: number): string[] {
  const name = `n${index}.rebind.example`
  zone.set(name, [{ address, family: address.includes(':') ? 6 : 4 }])
  zone.set(`mixed-${name}`, [
    { address: '1.1.1.1', family: 4 },
    { address, family: address.includes(':') ? 6 : 4 },
  ])
  return [name, `mixed-${name}`]
}

function corpus(): string[] {
  for (const host of [...OTHER_HOSTS, 'api.example']) zone.set(host, [{ address: '127.0.0.1', family: 4 }])
  const byName = [
    ...INTERNAL,
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:db8::1',
    'ff02::1',
  ].flatMap(namesFor)
  const hosts = [...INTERNAL.flatMap(spellingsOfIpv4), ...OTHER_HOSTS, ...byName]
  const urls = hosts.map((host) => `https://${host}:${canary.port}/x`)
  const schemes = ['http', 'HTTP', 'ftp', 'gopher', 'file', 'ws', 'unix', 'http+unix', 'dict', 'ldap', 'jar:https', 'blob:http'].map(
    (scheme) => `${scheme}://127.0.0.1:${canary.port}/x`,
  )
  const shapes = [
    'http:127.0.0.1',
    '//127.0.0.1',
    'https:/127.0.0.1',
    'https:\\\\127.0.0.1',
    'https:///127.0.0.1',
    '\thttps://127.0.0.1',
    'https://\t127.0.0.1',
    'https://127.0.\n0.1',
    'http://127.0.0.1:7256@127.0.0.1',
  ].map((url) => `${url}:${canary.port}/`)
  return [...urls, ...schemes, ...shapes]
}

function tryParse(url: string): ApiBase | undefined {
  try {
    return parseApiBase(url, policy)
  } catch (error) {
    expect(error, url).toMatchObject({ code: expect.stringMatching(/^(?:egress|path)_refused$/) as string })
    return undefined
  }
}

async function forwardTo(base: ApiBase): Promise<unknown> {
  const sink = {
    destroyed: false,
    writeHead: () => sink,
    flushHeaders: () => sink,
    write: () => true,
    end: () => sink,
    destroy: () => sink,
    on: () => sink,
    writableFinished: false,
  }
  return egress.forward({
    base,
    method: 'GET',
    path: judgePath('/'),
    headers: [],
    inject: [],
    body: null,
    maxRequestBytes: 1,
    response: sink,
  })
}

describe('G8 S-01 S-07 the corpus of internal destinations', () => {
  it('has at least 500 spellings, some of which only the judgement of addresses can stop', () => {
    const urls = corpus()
    expect(new Set(urls).size).toBeGreaterThanOrEqual(500)
    expect(urls.filter((url) => tryParse(url) !== undefined).length).toBeGreaterThanOrEqual(50)
  })

  it('reaches no canary through fetch', async () => {
    for (const url of corpus()) await expect(egress.fetch(url), url).rejects.toMatchObject({ code: 'egress_refused', sent: false })
    expect(canary.connections).toBe(0)
  })

  it('reaches no canary through forward, once saved as an API base or made to look so', async () => {
    for (const url of corpus()) {
      const parsed = tryParse(url)
      if (parsed !== undefined) await expect(forwardTo(parsed), url).rejects.toMatchObject({ code: 'egress_refused', sent: false })
      // A base that never went through parseApiBase: the connector judges again.
      const smuggled = URL.parse(url)
      if (smuggled === null || !/^https?:$/.test(smuggled.protocol)) continue
      await expect(forwardTo({ origin: smuggled.origin, basePath: '' }), url).rejects.toMatchObject({ sent: false })
    }
    expect(canary.connections).toBe(0)
  })

  it('the canary would have noticed', async () => {
    const origin = `http://127.0.0.1:${canary.port}`
    const open = testEgress(cleanup, { insecureAllowOrigins: [origin] })
    await expect(open.fetch(origin)).rejects.toMatchObject({ code: 'upstream_reset' })
    expect(canary.connections).toBe(1)
    canary.connections = 0
  })
})

describe('S-07 rebinding', () => {
  it('a name that turns internal after it was judged is judged again by the next connection', async () => {
    let asked = 0
    const turning = testEgress(cleanup, {
      allowedPorts: [canary.port],
      connectTimeoutMs: 300,
      resolver: async () => {
        asked += 1
        return asked === 1 ? [{ address: '240.0.0.0', family: 4 }] : [{ address: '127.0.0.1', family: 4 }]
      },
    })
    for (let i = 0; i < 3; i++)
      await expect(turning.fetch(`https://turning.example:${canary.port}/`)).rejects.toMatchObject({ code: 'egress_refused' })
    expect(asked).toBe(3)
    expect(canary.connections).toBe(0)
  })

  it('asks once per connection, so that no second answer can differ from the judged one', async () => {
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanup.add(() => server.close())
    const origin = `http://local.example:${(server.address() as AddressInfo).port}`
    const answers = [[{ address: '127.0.0.1', family: 4 }], [{ address: '127.0.0.9', family: 4 }]]
    let asked = 0
    const one = testEgress(cleanup, { insecureAllowOrigins: [origin], maxConnectionsPerOrigin: 1, resolver: async () => answers[asked++]! })
    for (let i = 0; i < 3; i++) expect((await one.fetch(origin)).status).toBe(200)
    expect(asked).toBe(1)
  })

  it.each([
    ['no address', []],
    ['no address at all in its text', [{ address: 'localhost', family: 4 }]],
    ['a short form of one', [{ address: '127.1', family: 4 }]],
    ['a zone id', [{ address: 'fe80::1%lo', family: 6 }]],
  ])('a resolver that gives %s opens nothing', async (_name, addresses) => {
    const odd = testEgress(cleanup, { allowedPorts: [canary.port], connectTimeoutMs: 300, resolver: async () => addresses })
    await expect(odd.fetch(`https://odd.example:${canary.port}/`)).rejects.toMatchObject({
      code: expect.stringMatching(/^egress_refused$|^upstream_unreachable$/) as string,
      sent: false,
    })
    expect(canary.connections).toBe(0)
  })

  it('the system resolver is judged too', async () => {
    const plain = testEgress(cleanup, { allowedPorts: [canary.port], connectTimeoutMs: 1_000 })
    await expect(plain.fetch(`https://localhost.localdomain:${canary.port}/`)).rejects.toMatchObject({ sent: false })
    await expect(forwardThrough(plain, `https://localhost:${canary.port}`)).rejects.toMatchObject({
      code: 'egress_refused',
      reason: 'address',
    })
    expect(canary.connections).toBe(0)
  })
})

function forwardThrough(door: Egress, origin: string): Promise<unknown> {
  const sink = {
    destroyed: false,
    writeHead: () => sink,
    flushHeaders: () => sink,
    write: () => true,
    end: () => sink,
    destroy: () => sink,
    on: () => sink,
    writableFinished: false,
  }
  return door.forward({
    base: { origin, basePath: '' },
    method: 'GET',
    path: judgePath('/'),
    headers: [],
    inject: [],
    body: null,
    maxRequestBytes: 1,
    response: sink,
  })
}
