import { describe, expect, it } from 'vitest'
import { Secret } from '@sallyport/core'
import { clientConfig, databaseUrl, isLocalHost, parseDatabaseUrl } from './url.ts'

const parse = (text: string) => parseDatabaseUrl(new Secret(text))

describe('a database address', () => {
  it('is read part by part', () => {
    expect(parse('postgres://us%40er:p%3Aw@db.example:6543/my%2Fdb')).toMatchObject({
      host: 'db.example',
      port: 6543,
      user: 'us@er',
      database: 'my/db',
    })
    expect(parse('postgresql://u:p%3Aw@[::1]/d').password.reveal()).toBe('p:w')
    expect(parse('postgres://u:p@[::1]/d')).toMatchObject({ host: '::1', port: 5432, tls: 'disable' })
  })

  it('may name a socket folder in each of the usual ways', () => {
    for (const text of ['postgres://u:p@%2Ftmp%2Fpg/d', 'postgres://u:p@/d?host=/tmp/pg', 'postgres://u:p@localhost/d?host=/tmp/pg']) {
      expect(parse(text)).toMatchObject({ host: '/tmp/pg', port: 5432, database: 'd', tls: 'disable' })
    }
  })

  it('survives being written and read again', () => {
    for (const host of ['/tmp/a b', '::1', '127.0.0.1', 'db.example']) {
      const address = { host, port: 7, user: 'u/@:', password: new Secret('p /?#@:%'), database: 'd?' }
      const read = parseDatabaseUrl(databaseUrl(address))
      expect({ ...read, password: read.password.reveal() }).toMatchObject({ ...address, password: 'p /?#@:%' })
    }
  })

  it.each([
    'mysql://u:p@h/d',
    'postgres://u:canary@h',
    'postgres://u:canary@/d',
    'postgres://:canary@h/d',
    'postgres://u:canary@h:0/d',
    'postgres://u:canary@h:99999/d',
    'postgres://u:canary@h/d?sslmode=prefer',
    'postgres://u:canary@h/d?sslmode=no-verify',
    'postgres://u:canary@h/d?options=-c%20row_security=off',
    'postgres://u:%zzcanary@h/d',
    'canary',
  ])('is refused as %s, and not repeated', (text) => {
    // The form without a host means a socket folder, which then must be named.
    const read = () => clientConfig(parse(text.replace('@/d', '@/d?host=')), false)
    expect(read).toThrow(expect.objectContaining({ code: 'database_url_invalid' }) as Error)
    expect(read).not.toThrow('canary')
  })

  it('knows this machine by its bytes, not by how a name begins', () => {
    expect(['/run/pg', 'localhost', '127.0.0.1', '127.9.9.9', '::1'].filter((host) => !isLocalHost(host))).toEqual([])
    expect(['127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', 'db', '0.0.0.0', '::'].filter(isLocalHost)).toEqual([])
  })

  it('X-04 demands verified TLS towards another host where it is required, and takes it by default', () => {
    const ssl = (text: string, required: boolean) => clientConfig(parse(text), required).ssl
    expect(ssl('postgres://u:p@db.example/d', true)).toEqual({ minVersion: 'TLSv1.2', rejectUnauthorized: true })
    expect(ssl('postgres://u:p@127.0.0.1/d?sslmode=disable', true)).toBe(false)
    for (const mode of ['disable', 'require']) {
      expect(() => ssl(`postgres://u:p@db.example/d?sslmode=${mode}`, true)).toThrow(
        expect.objectContaining({ code: 'database_tls_required' }) as Error,
      )
    }
    expect(ssl('postgres://u:p@db.example/d?sslmode=require', false)).toEqual({ minVersion: 'TLSv1.2', rejectUnauthorized: false })
    expect(() => ssl('postgres://u:p@db.example/d?sslrootcert=/no/such/file', true)).toThrow("can't be read")
  })
})
