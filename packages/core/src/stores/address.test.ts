import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { postgresConfig } from './postgres/connection.ts'
import { redisOptions } from './redis/connection.ts'

const refused = { code: 'store_misconfigured' }

function failureOf(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was refused')
}

describe('the address of a token store in Redis', () => {
  it('is taken with user, password, port and database, also from a secret', () => {
    expect(redisOptions({ url: new Secret('redis://us%40er:p%40ss@localhost:6390/3') })).toMatchObject({
      host: 'localhost',
      port: 6390,
      db: 3,
      username: 'us@er',
      password: 'p@ss',
    })
    expect(redisOptions({ url: 'redis://127.0.0.1' })).toMatchObject({ host: '127.0.0.1', port: 6379, db: 0 })
    expect(redisOptions({ url: 'redis://:x@[::1]:7000' })).toMatchObject({ host: '::1', port: 7000 })
  })

  it('means verified TLS with rediss, and the name is checked', () => {
    const { tls } = redisOptions({ url: 'rediss://:x@cache.example:6380' })
    expect(tls).toMatchObject({ minVersion: 'TLSv1.2', rejectUnauthorized: true, servername: 'cache.example' })
  })

  it('X-04 is refused without TLS or without a password towards another host, unless that is meant', () => {
    expect(failureOf(() => redisOptions({ url: 'redis://:x@cache.example' }))).toMatchObject(refused)
    expect(failureOf(() => redisOptions({ url: 'redis://:x@10.0.0.1' }))).toMatchObject(refused)
    expect(failureOf(() => redisOptions({ url: 'redis://:x@localhost.example' }))).toMatchObject(refused)
    expect(failureOf(() => redisOptions({ url: 'redis://:x@127.0.0.1.example' }))).toMatchObject(refused)
    expect(failureOf(() => redisOptions({ url: 'rediss://cache.example' }))).toMatchObject(refused)
    expect(redisOptions({ url: 'redis://:x@cache.example', insecurePlaintext: true }).tls).toBeUndefined()
    expect(redisOptions({ url: 'rediss://cache.example', insecureNoPassword: true }).password).toBeUndefined()
  })

  it.each([
    '',
    'cache.example:6379',
    'http://cache.example',
    'redis://',
    'redis://localhost/abc',
    'redis://localhost?db=1',
    'redis://:%zz@localhost',
  ])('is refused as %j, quoting nothing of it', (url) => {
    const failure = failureOf(() => redisOptions({ url }))
    expect(failure).toMatchObject(refused)
    expect(failure.message).not.toContain('cache')
  })
})

describe('the address of a token store in Postgres', () => {
  it('is taken with user, password, port, database and socket folder', () => {
    expect(postgresConfig({ url: 'postgres://us%40er:p%40ss@localhost:6000/a%20b' })).toMatchObject({
      host: 'localhost',
      port: 6000,
      user: 'us@er',
      password: 'p@ss',
      database: 'a b',
      ssl: false,
    })
    expect(postgresConfig({ url: 'postgresql://u@x/db?host=/run/postgresql' })).toMatchObject({ host: '/run/postgresql', ssl: false })
  })

  it('X-04 means verified TLS towards another host, whatever mode it names', () => {
    for (const mode of ['', '?sslmode=require', '?sslmode=verify-full']) {
      expect(postgresConfig({ url: `postgres://u:p@db.example/d${mode}` }).ssl).toEqual({ minVersion: 'TLSv1.2', rejectUnauthorized: true })
    }
    expect(postgresConfig({ url: 'postgres://u:p@db.example/d', ca: 'PEM' }).ssl).toEqual({
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      ca: 'PEM',
    })
  })

  it('X-04 is refused without TLS towards another host, unless that is meant', () => {
    expect(failureOf(() => postgresConfig({ url: 'postgres://u:p@db.example/d?sslmode=disable' }))).toMatchObject(refused)
    for (const mode of ['prefer', 'allow', 'no-verify', 'verify-ca']) {
      expect(failureOf(() => postgresConfig({ url: `postgres://u:p@db.example/d?sslmode=${mode}` }))).toMatchObject(refused)
    }
    expect(postgresConfig({ url: 'postgres://u:p@db.example/d?sslmode=disable', insecurePlaintext: true }).ssl).toBe(false)
  })

  it.each(['', 'mysql://u@h/d', 'postgres://h/d', 'postgres://u@h', 'postgres://u@h/d?sslrootcert=/x', 'postgres://u:%zz@h/d'])(
    'is refused as %j',
    (url) => expect(failureOf(() => postgresConfig({ url }))).toMatchObject(refused),
  )
})
