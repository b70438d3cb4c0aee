/** TLS that the gateway ends itself: what is agreed on, what is turned away, and a certificate that changes while it is in use, over real sockets. */
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createLogger, MetricsRegistry, systemClock } from '@sallyport/core'
import { makeCertificate } from '../../../core/test/http/certificates.ts'
import type { Certificate } from '../../../core/test/http/certificates.ts'
import { openTlsCertificate } from '../../src/http/index.ts'
import type { TlsCertificate } from '../../src/http/index.ts'
import { createDrainingServer, DEFAULT_SERVER_LIMITS } from '../../src/http/node-server.ts'
import type { DrainingServer, RequestListener, ServerLimits } from '../../src/http/node-server.ts'
import { METRICS } from '../../src/metrics/index.ts'
import { asKey, asPerson, createWorld, send } from './world.ts'
import type { World } from './world.ts'

const DAY_MS = 86_400_000
const root = makeCertificate({ subject: 'Test Root', authority: true })
const clients = makeCertificate({ subject: 'Clients', authority: true })
const strangers = makeCertificate({ subject: 'Clients', authority: true })
const leafOf = (more: { notBefore?: Date; notAfter?: Date } = {}) =>
  makeCertificate({ subject: 'gateway.test', names: ['gateway.test'], issuer: root, ...more })
const clientOf = (issuer: Certificate) => makeCertificate({ subject: 'a client', issuer })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-tls-'))
  await write('clients.pem', clients.cert)
})
afterAll(() => rm(folder, { recursive: true, maxRetries: 10 }))

const file = (name: string) => join(folder, name)
const write = (name: string, text: string) => writeFile(file(name), text)
const writePair = async ({ cert, key }: { cert: string; key: string }) => {
  await write('cert.pem', cert)
  await write('key.pem', key)
}

interface Stage {
  readonly certificate: TlsCertificate
  readonly base: DrainingServer
  readonly port: number
  readonly log: string[]
  readonly metrics: MetricsRegistry
}

const open: { base: DrainingServer }[] = []
afterEach(async () => {
  for (const { base } of open.splice(0)) await base.close(0)
})

interface Wanted {
  readonly pair?: Certificate
  readonly clientCertificates?: 'required' | 'optional'
  readonly limits?: Partial<ServerLimits>
  readonly requests?: RequestListener
  readonly now?: () => number
}

const parts = (now = () => Date.now()) => {
  const log: string[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => void log.push(line) })
  return { log, logger, metrics: new MetricsRegistry(METRICS), clock: { ...systemClock, now } }
}

const opened = (wanted: Wanted, made = parts(wanted.now)) =>
  openTlsCertificate(
    {
      certFile: file('cert.pem'),
      keyFile: file('key.pem'),
      clientCaFile: wanted.clientCertificates === undefined ? undefined : file('clients.pem'),
      clientCertificates: wanted.clientCertificates ?? 'required',
    },
    made,
  )

async function serve(wanted: Wanted = {}): Promise<Stage> {
  await writePair(wanted.pair ?? leafOf())
  const made = parts(wanted.now)
  const certificate = await opened(wanted, made)
  const requests: RequestListener = wanted.requests ?? ((_request, response) => response.end('hello'))
  const limits = { ...DEFAULT_SERVER_LIMITS, ...wanted.limits }
  const base = createDrainingServer({ whileDraining: () => false, requests, headers: {} }, limits, certificate)
  open.push({ base })
  base.server.listen(0, '127.0.0.1')
  await once(base.server, 'listening')
  return { certificate, base, port: (base.server.address() as { port: number }).port, log: made.log, metrics: made.metrics }
}

interface Told {
  readonly protocol: string | null
  readonly alpn: string | false | null
  readonly serial: string | undefined
  readonly text: string
}

/** One request over a connection of its own. @throws whatever ends it before an answer. */
async function ask({ port }: { port: number }, options: ConnectionOptions = {}): Promise<Told> {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'gateway.test', ca: root.cert, ...options })
  socket.write('GET / HTTP/1.1\r\nhost: gateway.test\r\nconnection: close\r\n\r\n')
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  let serial: string | undefined
  let agreed: Omit<Told, 'serial' | 'text'> | undefined
  socket.on('secureConnect', () => {
    serial = socket.getPeerX509Certificate()?.serialNumber
    agreed = { protocol: socket.getProtocol(), alpn: socket.alpnProtocol }
  })
  await new Promise<void>((resolve, reject) => socket.once('error', reject).once('close', () => resolve()))
  const text = Buffer.concat(chunks).toString('utf8')
  if (agreed === undefined || text === '') throw new Error('closed without an answer')
  return { ...agreed, serial, text }
}

const serialOf = ({ cert }: { cert: string }) => new X509Certificate(cert).serialNumber

describe('TLS of the gateway', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('X-02 is %s, with HTTP/1.1 in it, whatever name is asked for', async (version) => {
    const at = await serve()
    const only = { minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] }
    const told = await ask(at, only)
    expect(told).toMatchObject({ protocol: version, alpn: 'http/1.1' })
    expect(told.text).toContain('hello')
    const other = { ...only, servername: 'another.test', checkServerIdentity: () => undefined }
    expect((await ask(at, other)).serial).toBe(told.serial)
  })

  it.each<[string, ConnectionOptions]>([
    ['TLS 1.0', { minVersion: 'TLSv1', maxVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }],
    ['TLS 1.1', { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }],
    [
      'a cipher that authenticates nothing as a whole',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA' },
    ],
    ['a null cipher', { maxVersion: 'TLSv1.2', ciphers: 'NULL:eNULL:@SECLEVEL=0' }],
    ['an anonymous server', { maxVersion: 'TLSv1.2', ciphers: 'aNULL:@SECLEVEL=0' }],
    ['HTTP/2 alone', { ALPNProtocols: ['h2'] }],
  ])('X-02 is refused to a client of %s', async (_what, options) => {
    const at = await serve()
    await expect(ask(at, options)).rejects.toThrow()
    expect((await ask(at)).text).toContain('hello')
    await expect.poll(() => at.metrics.render()).toMatch(/sallyport_tls_handshakes_failed_total [1-9]/u)
  })

  it('X-02 answers nothing to plain HTTP', async () => {
    const at = await serve()
    const socket = connectTcp(at.port, '127.0.0.1')
    let got = 0
    socket.on('data', (chunk: Buffer) => (got += chunk.toString('latin1').includes('HTTP/') ? 1 : 0))
    socket.on('error', () => undefined)
    socket.write('GET / HTTP/1.1\r\nhost: gateway.test\r\n\r\n')
    await new Promise((resolve) => socket.once('close', resolve))
    expect(got).toBe(0)
    expect((await ask(at)).text).toContain('hello')
  })

  it('D-04 waits for no handshake that does not come, and none holds up the end', async () => {
    const at = await serve({ limits: { handshakeTimeoutMs: 300 } })
    const silent = connectTcp(at.port, '127.0.0.1')
    silent.on('error', () => undefined)
    await new Promise((resolve) => silent.once('close', resolve))
    const slow = await serve()
    const held = connectTcp(slow.port, '127.0.0.1')
    held.on('error', () => undefined)
    await once(held, 'connect')
    const gone = new Promise((resolve) => held.once('close', resolve))
    // Ten seconds are what a handshake may take; the end waits for none.
    expect(await slow.base.close(60_000)).toBe(true)
    await gone
  })

  it('lets no client renegotiate', async () => {
    const at = await serve()
    const socket = connectTls({ port: at.port, host: '127.0.0.1', servername: 'gateway.test', ca: root.cert, maxVersion: 'TLSv1.2' })
    socket.on('error', () => undefined)
    await once(socket, 'secureConnect')
    const outcome = new Promise((resolve) => {
      socket.renegotiate({ rejectUnauthorized: true }, (error) => resolve(error === null ? 'renegotiated' : 'refused'))
      socket.once('close', () => resolve('refused'))
    })
    expect(await outcome).toBe('refused')
    socket.destroy()
  })
})

describe('a certificate that changes', () => {
  it('is another for the next connection, and the stream that was open goes on', async () => {
    const [first, second] = [leafOf(), leafOf()]
    let more: (text: string) => void = () => undefined
    const requests: RequestListener = (request, response) => {
      if (request.url === '/stream') more = (text) => void response.write(text)
      if (request.url === '/stream') response.write('one')
      else response.end('hello')
    }
    const at = await serve({ pair: first, requests })
    const got: string[] = []
    const stream = httpsRequest({
      port: at.port,
      host: '127.0.0.1',
      path: '/stream',
      servername: 'gateway.test',
      ca: root.cert,
      agent: false,
    })
    stream.on('response', (response) => response.setEncoding('utf8').on('data', (text: string) => got.push(text)))
    stream.on('error', () => undefined)
    stream.end()
    await expect.poll(() => got).toEqual(['one'])
    expect((await ask(at)).serial).toBe(serialOf(first))
    await writePair(second)
    await at.certificate.look()
    expect((await ask(at)).serial).toBe(serialOf(second))
    more('two')
    await expect.poll(() => got).toEqual(['one', 'two'])
    expect(at.metrics.render()).toContain('sallyport_tls_certificate_reads_total{outcome="taken"} 1')
    stream.destroy()
  })

  it.each<[string, () => Promise<void>]>([
    ['with the key of another', () => write('key.pem', leafOf().key)],
    ['without its key', () => rm(file('key.pem'))],
    ['that is none', () => write('cert.pem', 'nothing of the kind')],
    ['cut in the middle', () => write('cert.pem', leafOf().cert.slice(0, 200))],
    ['that has ended', () => writePair(leafOf({ notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) }))],
    [
      'that has not begun',
      () => writePair(leafOf({ notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS) })),
    ],
  ])('to one %s stays as it was, and this is said once', async (_what, change) => {
    const [first, third] = [leafOf(), leafOf()]
    const at = await serve({ pair: first })
    await change()
    await at.certificate.look()
    await at.certificate.look()
    expect((await ask(at)).serial).toBe(serialOf(first))
    expect(at.log.filter((line) => line.includes('can not be used as they are now'))).toHaveLength(1)
    expect(at.log.join('\n')).not.toContain('PRIVATE KEY')
    expect(at.metrics.render()).toContain('sallyport_tls_certificate_reads_total{outcome="refused"} 1')
    await writePair(third)
    await at.certificate.look()
    expect((await ask(at)).serial).toBe(serialOf(third))
  })

  it('is warned of in its last two weeks, once a day, and counted down in the metrics', async () => {
    const notAfter = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 30 * DAY_MS)
    let now = Date.now()
    const at = await serve({ pair: leafOf({ notAfter }), now: () => now })
    expect(at.metrics.render()).toContain(`sallyport_tls_certificate_end_seconds ${notAfter.getTime() / 1_000}`)
    const warnings = () => at.log.filter((line) => line.includes('ends soon')).length
    expect(warnings()).toBe(0)
    now += 20 * DAY_MS
    await at.certificate.look()
    await at.certificate.look()
    expect(warnings()).toBe(1)
  })

  it.each<[string, () => Promise<void>, RegExp]>([
    ['the key of another', () => write('key.pem', leafOf().key), /belongs to the certificate/u],
    ['no key', () => rm(file('key.pem')), /can't be read \(ENOENT\)/u],
    ['an end in the past', () => writePair(leafOf({ notBefore: new Date(0), notAfter: new Date(DAY_MS) })), /has ended/u],
  ])('X-02 is not begun with at %s', async (_what, change, why) => {
    await writePair(leafOf())
    await change()
    await expect(opened({})).rejects.toMatchObject({ code: 'tls_files_unusable', message: expect.stringMatching(why) })
  })
})

describe('certificates of clients', () => {
  const showing = ({ cert, key }: Certificate) => ({ cert, key })

  it('are asked for where they are required: none, and one of another authority, is turned away', async () => {
    const at = await serve({ clientCertificates: 'required' })
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const only = { minVersion: version, maxVersion: version }
      await expect(ask(at, only)).rejects.toThrow()
      await expect(ask(at, { ...only, ...showing(clientOf(strangers)) })).rejects.toThrow()
      expect((await ask(at, { ...only, ...showing(clientOf(clients)) })).text).toContain('hello')
    }
  })

  it('may be left out where they are optional, and are not taken of another authority', async () => {
    const at = await serve({ clientCertificates: 'optional' })
    expect((await ask(at)).text).toContain('hello')
    expect((await ask(at, showing(clientOf(clients)))).text).toContain('hello')
    await expect(ask(at, showing(clientOf(strangers)))).rejects.toThrow()
  })

  it('are judged anew when the authorities change, by resumed connections too', async () => {
    const at = await serve({ clientCertificates: 'required' })
    const mine = showing(clientOf(clients))
    let session: Buffer | undefined
    const first: TLSSocket = connectTls({ port: at.port, host: '127.0.0.1', servername: 'gateway.test', ca: root.cert, ...mine })
    first.on('session', (made) => (session = made))
    first.on('error', () => undefined)
    await expect.poll(() => session).toBeDefined()
    first.destroy()
    await write('clients.pem', strangers.cert)
    await at.certificate.look()
    await expect(ask(at, { ...mine, session: session! })).rejects.toThrow()
    await write('clients.pem', clients.cert)
  })
})

describe('a key that is bound to a client certificate, where TLS ends here', () => {
  const PUBLIC_URL = 'https://gateway.test'
  let world: World
  beforeAll(async () => {
    await writePair(leafOf())
    const certificate = await opened({ clientCertificates: 'optional' })
    world = await createWorld(inject('postgresUrl'), { publicUrl: PUBLIC_URL, certificate })
  })
  afterAll(() => world?.close())

  const thumbprint = ({ cert }: Certificate) => createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url')

  it('S79 is taken over connections of that certificate alone, and no header speaks for one', async () => {
    const [mine, other] = [clientOf(clients), clientOf(clients)]
    const over = (certificate: Certificate | undefined) => ({
      servername: 'gateway.test',
      ca: root.cert,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
    })
    const path = `/api/v1/orgs/${world.a.params.org}/projects/${world.a.params.project}/test/keys`
    const made = await send(world, path, {
      method: 'POST',
      headers: asPerson(world.a.people.DEVELOPER, PUBLIC_URL),
      body: { name: 'bound', scopes: ['keys:read'], sender: { kind: 'certificate', thumbprint: thumbprint(mine) } },
      tls: over(undefined),
    })
    expect(made).toMatchObject({ status: 201, headers: { 'strict-transport-security': 'max-age=31536000' } })
    const { secret } = made.json
    const saying = { 'client-cert': `:${new X509Certificate(mine.cert).raw.toString('base64')}:` }
    const outcome = async (certificate: Certificate | undefined, headers = {}) => {
      const { status, json } = await send(world, path, { headers: { ...asKey(secret), ...headers }, tls: over(certificate) })
      return [status, json.code]
    }
    expect(await outcome(mine)).toEqual([200, undefined])
    expect(await outcome(other)).toEqual([401, 'certificate_mismatch'])
    expect(await outcome(undefined)).toEqual([401, 'certificate_required'])
    expect(await outcome(undefined, saying)).toEqual([401, 'certificate_required'])
    expect(await outcome(other, saying)).toEqual([401, 'certificate_mismatch'])
  })
})
