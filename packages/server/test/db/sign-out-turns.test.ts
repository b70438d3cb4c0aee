/** A sign-in and a sign-out at the same moment, one of them held in the middle of its transaction while the other comes. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import type { Client } from 'pg'
import { newId, sha256 } from '@sallyport/core'
import type { UserId } from '@sallyport/core'
import type { Database, SignIn } from '../../src/db/index.ts'
import { freshDatabase } from './fresh-database.ts'
import type { FreshDatabase } from './fresh-database.ts'

const ISSUER = 'https://issuer.test'

let fresh: FreshDatabase
let database: Database

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterAll(() => fresh?.drop())

const hash = (): Buffer => sha256(crypto.getRandomValues(new Uint8Array(32)))

/** A person who has a token that was good when it was looked at, a minute old. */
async function visitor(issuerSession: Buffer | null): Promise<Visitor> {
  const subject = hash().toString('hex')
  const issuedAt = new Date(Date.now() - 60_000)
  const claims = { id: newId('user'), issuer: ISSUER, subject, name: 'Ada', email: null, issuerSession, issuedAt }
  const { userId, ended } = await database.lookups.personSignIn(claims)
  expect(ended).toBe(false)
  return { userId, subject, issuedAt, issuerSession, sessionHash: hash() }
}

interface Visitor {
  readonly userId: UserId
  readonly subject: string
  readonly issuedAt: Date
  readonly issuerSession: Buffer | null
  readonly sessionHash: Buffer
}

type Statement = readonly [text: string, values: readonly unknown[]]

const opening = ({ userId, sessionHash, issuerSession, issuedAt }: Visitor): Statement => [
  `select * from sallyport.session_open_as($1, $2, 60, $3, '{pwd}', 'aal1', null, $4, $5, $5)`,
  [userId, sessionHash, ISSUER, issuerSession, issuedAt],
]
const logout = (session: Buffer | null, subject: string | null): Statement => [
  'select sallyport.sign_in_logout($1, 3600, $2, 3600, $3, $4, $5)',
  [hash(), session, newId('user'), ISSUER, subject],
]

const ENDS: readonly (readonly [name: string, named: boolean, end: (visitor: Visitor) => Statement])[] = [
  ['all sessions of a subject', false, ({ subject }) => logout(null, subject)],
  ['all sessions of a subject, whose token names one', true, ({ subject }) => logout(null, subject)],
  ['one session at the issuer', true, ({ issuerSession }) => logout(issuerSession, null)],
  ['one session at the issuer, and its subject', true, ({ issuerSession, subject }) => logout(issuerSession, subject)],
  ['one session at the issuer, from here', true, ({ issuerSession }) => ['select sallyport.sign_in_end($1, 3600)', [issuerSession]]],
  ['everybody’s by name', false, ({ subject }) => ['select sallyport.person_sign_out($1, $2)', [ISSUER, subject]]],
]

/** Begins `first`, lets `second` come and wait for it, commits both. What `second` gave. */
async function inTurns(first: Statement, second: Statement): Promise<unknown[]> {
  return fresh.asGateway((one) =>
    fresh.asGateway(async (other) => {
      const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid')
      await one.query('begin')
      await ask(one, first)
      const answer = ask(other, second)
      const waits = async (): Promise<boolean> =>
        (await fresh.asSuperuser<{ waits: boolean }>('select cardinality(pg_blocking_pids($1)) > 0 as waits', [rows[0]!.pid]))[0]!.waits
      await expect.poll(waits).toBe(true)
      await one.query('commit')
      return answer
    }),
  )
}

const ask = async (client: Client, [text, values]: Statement): Promise<unknown[]> => (await client.query(text, [...values])).rows

describe('a sign-out beside a sign-in', () => {
  it.each(ENDS)('J-11 that was begun before lets no session be opened: %s', async (_, named, end) => {
    const who = await visitor(named ? hash() : null)
    expect(await inTurns(end(who), opening(who))).toEqual([])
    expect(await database.lookups.sessionLookup(who.sessionHash)).toBeUndefined()
  })

  it.each(ENDS)('J-11 that comes while a session is being opened ends it: %s', async (_, named, end) => {
    const who = await visitor(named ? hash() : null)
    await inTurns(opening(who), end(who))
    expect(await database.lookups.sessionLookup(who.sessionHash)).toBeUndefined()
  })

  it.each(ENDS)('J-11 that is carried out after the token was looked at lets it open nothing: %s', async (_, named, end) => {
    const who = await visitor(named ? hash() : null)
    await fresh.asGateway((client) => ask(client, end(who)))
    const { userId: person, sessionHash, issuerSession, issuedAt } = who
    const signIn: SignIn = {
      issuer: ISSUER,
      methods: ['pwd'],
      assurance: 'aal1',
      provider: null,
      issuerSession,
      authenticatedAt: issuedAt,
    }
    expect(await database.lookups.sessionOpenAs({ person, sessionHash, ttlSeconds: 60, signIn, issuedAt })).toBeUndefined()
    expect(await database.lookups.sessionLookup(sessionHash)).toBeUndefined()
  })

  it('J-11 ends a console session that names none while it is being opened, when its person and another session are named', async () => {
    const who = await visitor(null)
    await inTurns(opening(who), logout(hash(), who.subject))
    expect(await database.lookups.sessionLookup(who.sessionHash)).toBeUndefined()
  })

  it('keeps no two sign-ins of one session at an issuer from each other', async () => {
    const session = hash()
    const [one, other] = [await visitor(session), await visitor(session)]
    await fresh.asGateway(async (client) => {
      await client.query('begin')
      await ask(client, opening(one))
      expect(await fresh.asGateway((second) => ask(second, opening(other)))).toHaveLength(1)
      await client.query('commit')
    })
  })
})
