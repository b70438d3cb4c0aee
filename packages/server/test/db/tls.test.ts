/** The gateway's database over TLS: a server that proves itself is spoken to, another is not. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createLogger, Secret } from '@sallyport/core'
import { openDatabase } from '../../src/db/index.ts'
import { makeCertificate } from '../../../core/test/http/certificates.ts'
import { findPostgres, startTestPostgres } from '../../../testkit/src/servers/index.ts'
import type { TestPostgres } from '../../../testkit/src/servers/index.ts'

describe('a database over TLS', () => {
  let folder: string
  let server: TestPostgres
  const authorities = {
    own: makeCertificate({ subject: 'an authority', authority: true }),
    another: makeCertificate({ subject: 'another authority', authority: true }),
  }
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-database-tls-'))
    const certificate = makeCertificate({ subject: 'localhost', names: ['localhost'], issuer: authorities.own })
    await writeFile(join(folder, 'cert.pem'), certificate.cert)
    await writeFile(join(folder, 'key.pem'), certificate.key, { mode: 0o600 })
    for (const [name, { cert }] of Object.entries(authorities)) await writeFile(join(folder, `${name}.pem`), cert)
    const settings = { ssl: 'on', ssl_cert_file: join(folder, 'cert.pem'), ssl_key_file: join(folder, 'key.pem') }
    server = await startTestPostgres({ major: (await findPostgres(15)) === undefined ? 18 : 15, settings })
  })
  afterAll(async () => {
    await server?.stop()
    await rm(folder, { recursive: true, maxRetries: 10 })
  })

  async function opened(host: string, authority?: string, of = server.url): Promise<unknown> {
    const url = new URL(of)
    url.hostname = host
    url.search = `?sslmode=verify-full${authority === undefined ? '' : `&sslrootcert=${join(folder, authority)}`}`
    return openDatabase({ url: new Secret(url.href), requireVerifiedTls: true, logger: createLogger({ level: 'silent', format: 'json' }) })
  }

  it('X-04 goes to a server that proves itself: this one is refused for its login, which is asked about after', async () => {
    await expect(opened('localhost', 'own.pem')).rejects.toMatchObject({ code: 'database_role_unsafe' })
  })

  it.each([
    ['whose certificate nobody known has signed', 'localhost', undefined],
    ['whose certificate another authority has signed', 'localhost', 'another.pem'],
    ['whose certificate is of another name', '127.0.0.1', 'own.pem'],
  ])('X-04 goes to no server %s', async (_, host, authority) => {
    await expect(opened(host, authority)).rejects.toMatchObject({ code: 'database_unavailable' })
  })

  it('X-02 X-04 goes to no server that offers nothing newer than TLS 1.1', async () => {
    const client = new Client({ connectionString: server.url })
    await client.connect()
    const offer = async (lowest: string, highest: string) => {
      await client.query(`alter system set ssl_min_protocol_version = '${lowest}'`)
      await client.query(`alter system set ssl_max_protocol_version = '${highest}'`)
      await client.query('select pg_reload_conf()')
      // Read by each new session from the process that was told.
      const told = async (): Promise<unknown> => {
        const fresh = new Client({ connectionString: server.url })
        await fresh.connect()
        const { rows } = await fresh.query("select current_setting('ssl_max_protocol_version') as version")
        await fresh.end()
        return (rows[0] as { version: string }).version
      }
      await expect.poll(told, { timeout: 30_000 }).toBe(highest)
    }
    try {
      await offer('TLSv1', 'TLSv1.1')
      await expect(opened('localhost', 'own.pem')).rejects.toMatchObject({ code: 'database_unavailable' })
      await offer('TLSv1.2', 'TLSv1.3')
      await expect(opened('localhost', 'own.pem')).rejects.toMatchObject({ code: 'database_role_unsafe' })
    } finally {
      await client.end()
    }
  })

  it('X-04 goes to no server that speaks no TLS', async () => {
    await expect(opened('127.0.0.1', 'own.pem', inject('postgresUrl'))).rejects.toMatchObject({ code: 'database_unavailable' })
  })
})
