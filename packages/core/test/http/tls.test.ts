import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import type tls from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import type { EgressPolicy } from '../../src/http/index.ts'
import { makeCertificate } from './certificates.ts'
import { Cleanup, testEgress } from './listeners.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const DAY_MS = 86_400_000
const root = makeCertificate({ subject: 'Test Root', authority: true })
const otherRoot = makeCertificate({ subject: 'Other Root', authority: true })
const leaf = makeCertificate({ subject: 'api.test', names: ['api.test'], issuer: root })

/**
 * An https server on loopback under the name api.test. The origin is exempt from the judgement of addresses (loopback would be
 * refused otherwise), which exempts it from nothing else: that is what these tests hold it to.
 */
async function serve(options: https.ServerOptions, policy: Partial<EgressPolicy> = {}) {
  const names: (string | false | null)[] = []
  let requests = 0
  const server = https.createServer(options, (_request, response) => {
    requests += 1
    response.end('hello')
  })
  server.on('secureConnection', (socket: tls.TLSSocket & { servername?: string | false | null }) => names.push(socket.servername ?? null))
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup.add(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `https://api.test:${(server.address() as AddressInfo).port}`
  const resolved: string[] = []
  const resolver = async (hostname: string) => {
    resolved.push(hostname)
    return [{ address: '127.0.0.1', family: 4 }]
  }
  const egress = testEgress(cleanup, { insecureAllowOrigins: [origin], resolver, caCertificates: [root.cert], ...policy })
  return { egress, origin, names, resolved, requests: () => requests }
}

describe('TLS', () => {
  it('S-13 reaches a server that proves the name, with that name as SNI, resolving once per connection', async () => {
    const { egress, origin, names, resolved } = await serve(leaf, { maxConnectionsPerOrigin: 1 })
    for (let i = 0; i < 3; i++) expect(await (await egress.fetch(origin, { headers: { host: 'evil.test' } })).text()).toBe('hello')
    expect(names).toEqual(['api.test'])
    expect(resolved).toEqual(['api.test'])
  })

  it.each([
    ['self-signed', makeCertificate({ subject: 'api.test', names: ['api.test'] })],
    ['signed by another root', makeCertificate({ subject: 'api.test', names: ['api.test'], issuer: otherRoot })],
    [
      'expired',
      makeCertificate({
        subject: 'api.test',
        names: ['api.test'],
        issuer: root,
        notBefore: new Date(Date.now() - 3 * DAY_MS),
        notAfter: new Date(Date.now() - 2 * DAY_MS),
      }),
    ],
    [
      'not yet valid',
      makeCertificate({
        subject: 'api.test',
        names: ['api.test'],
        issuer: root,
        notBefore: new Date(Date.now() + DAY_MS),
        notAfter: new Date(Date.now() + 2 * DAY_MS),
      }),
    ],
    ['for another name', makeCertificate({ subject: 'api.test', names: ['other.test'], issuer: root })],
    ['for a subdomain', makeCertificate({ subject: 'x', names: ['*.api.test'], issuer: root })],
    ['signed by a certificate that is no authority', makeCertificate({ subject: 'api.test', names: ['api.test'], issuer: leaf })],
  ])('S-13 refuses a certificate that is %s, before a byte is sent', async (_name, certificate) => {
    const { egress, origin, requests } = await serve(certificate)
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'upstream_tls', sent: false })
    expect(requests()).toBe(0)
  })

  it('S-13 refuses a bad certificate though the environment says not to', async () => {
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    cleanup.add(() => delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'])
    const { egress, origin, requests } = await serve(makeCertificate({ subject: 'api.test', names: ['api.test'] }))
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'upstream_tls' })
    expect(requests()).toBe(0)
  })

  it.each([
    ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['null ciphers', { maxVersion: 'TLSv1.2', ciphers: 'eNULL:@SECLEVEL=0' }],
    ['anonymous key exchange', { maxVersion: 'TLSv1.2', ciphers: 'aNULL:@SECLEVEL=0' }],
  ] as const)('S-13 refuses %s', async (_name, options) => {
    const { egress, origin, requests } = await serve({ ...leaf, ...options })
    await expect(egress.fetch(origin)).rejects.toMatchObject({ sent: false, code: 'upstream_tls' })
    expect(requests()).toBe(0)
  })

  it('S-13 refuses a server without TLS at an https origin', async () => {
    const { default: http } = await import('node:http')
    const server = http.createServer((_request, response) => response.end('plain'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanup.add(() => server.close())
    const origin = `https://api.test:${(server.address() as AddressInfo).port}`
    const egress = testEgress(cleanup, { insecureAllowOrigins: [origin], resolver: async () => [{ address: '127.0.0.1', family: 4 }] })
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'upstream_tls', sent: false })
  })

  it('S-07 looks at the address really reached, should the judged one have been swapped', async () => {
    const { origin, requests } = await serve(leaf)
    let reads = 0
    const swapping = {
      family: 4,
      get address() {
        reads += 1
        return reads === 1 ? '1.1.1.1' : '127.0.0.1'
      },
    }
    const egress = testEgress(cleanup, {
      allowedPorts: [Number(new URL(origin).port)],
      caCertificates: [root.cert],
      resolver: async () => [swapping],
    })
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'egress_refused', reason: 'address', sent: false })
    expect(requests()).toBe(0)
  })

  it('S-01 an https origin that is not exempt is refused at the same address, certificate or not', async () => {
    const { origin, requests } = await serve(leaf)
    const egress = testEgress(cleanup, {
      allowedPorts: [Number(new URL(origin).port)],
      caCertificates: [root.cert],
      resolver: async () => [{ address: '127.0.0.1', family: 4 }],
    })
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'egress_refused', reason: 'address', sent: false })
    expect(requests()).toBe(0)
  })
})
