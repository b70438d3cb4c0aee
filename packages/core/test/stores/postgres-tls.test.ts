/** The store on PostgreSQL over TLS: certificates that prove the server, and ones that don't. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AdvisoryLeases, createPostgresStore } from '../../src/index.ts'
import { findPostgres, startTestPostgres } from '../../../testkit/src/servers/index.ts'
import type { TestPostgres } from '../../../testkit/src/servers/index.ts'
import { someTokens } from '../../../testkit/src/suites/index.ts'
import { makeCertificate } from '../http/certificates.ts'

const encryption = { key: randomBytes(32).toString('hex') }
const authority = makeCertificate({ subject: 'an authority', authority: true })
const another = makeCertificate({ subject: 'another authority', authority: true })
const ref = { scope: 's', id: 'i' }

describe('a token store in Postgres over TLS', () => {
  let folder: string
  let server: TestPostgres
  /** Of the name that its certificate has, and of one that it hasn't. */
  const url = (host = 'localhost'): string => {
    const parsed = new URL(server.url)
    parsed.hostname = host
    parsed.search = '?sslmode=verify-full'
    return parsed.href
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-postgres-tls-'))
    const own = makeCertificate({ subject: 'localhost', names: ['localhost'], issuer: authority })
    await writeFile(join(folder, 'cert.pem'), own.cert)
    await writeFile(join(folder, 'key.pem'), own.key, { mode: 0o600 })
    const settings = { ssl: 'on', ssl_cert_file: join(folder, 'cert.pem'), ssl_key_file: join(folder, 'key.pem') }
    server = await startTestPostgres({ major: (await findPostgres(15)) === undefined ? 18 : 15, settings })
  })
  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true, maxRetries: 10 })
  })

  it('X-04 speaks to a server that proves itself', async () => {
    const store = createPostgresStore({ url: url(), encryption, ca: authority.cert })
    await store.connect(ref, someTokens('first'))
    expect((await store.read(ref))?.status).toBe('active')
    await store.close()
  })

  it.each([
    ['whose certificate nobody known has signed', undefined, 'localhost'],
    ['whose certificate another authority has signed', another.cert, 'localhost'],
    ['whose certificate is of another name', authority.cert, '127.0.0.1'],
  ])('X-04 stores nothing at a server %s', async (_, ca, host) => {
    const store = createPostgresStore({ url: url(host), encryption, ...(ca === undefined ? {} : { ca }) })
    await expect(store.connect(ref, someTokens('first'))).rejects.toMatchObject({ code: 'store_unavailable' })
    await store.close()
  })

  it('X-04 takes no lease from a server that does not prove itself', async () => {
    const leases = new AdvisoryLeases({ connectionString: url(), ssl: { rejectUnauthorized: true, ca: another.cert } })
    await expect(leases.take('a-key')).rejects.toMatchObject({ code: 'store_unavailable' })
    await leases.close()
  })
})
