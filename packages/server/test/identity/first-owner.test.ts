import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId, systemClock } from '@sallyport/core'
import { membershipDelete, membershipPut } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createSessions, ensureFirstOwner } from '../../src/identity/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let database: Database
beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
})
afterAll(() => fresh.drop())

const ADA = { issuer: 'https://issuer.test', subject: 'ada' }

describe('the first owner', () => {
  it('is the local one where nobody is named, made once by many, each with a link of its own that signs in once', async () => {
    const owners = await Promise.all(Array.from({ length: 5 }, () => ensureFirstOwner(database, undefined)))
    expect(owners.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(owners.map(({ org, person }) => `${org} ${person}`)).size).toBe(1)
    const sessions = createSessions({ lookups: database.lookups, clock: systemClock, linkAssurance: 'aal2' })
    for (const { link, org } of owners) {
      const { token } = await sessions.openWithLink(link!)
      expect((await sessions.lookup(token))?.memberships.get(org)).toBe('OWNER')
      await expect(sessions.openWithLink(link!)).rejects.toMatchObject({ code: 'unauthenticated' })
    }
  })

  it('is nobody else afterwards, whoever is named, and nothing is made for them', async () => {
    await expect(ensureFirstOwner(database, ADA)).rejects.toMatchObject({ code: 'installation_owned' })
    const [count] = await fresh.asSuperuser<{ n: number }>('select count(*)::int as n from sallyport.organization')
    expect(count!.n).toBe(1)
  })

  it('gets no more links once another owner took the role away', async () => {
    const { org, person } = await ensureFirstOwner(database, undefined)
    const other = await database.lookups.personUpsert({ id: newId('user'), issuer: 'https://issuer.test', subject: 'grace', name: 'Grace' })
    await database.withTenant(org, async (tx) => {
      await membershipPut(tx, other, 'OWNER')
      await membershipDelete(tx, person)
    })
    await expect(ensureFirstOwner(database, undefined)).rejects.toMatchObject({ code: 'installation_owned' })
  })

  it('is one, also when two begin at the same moment for two people: the other is told who is there', async () => {
    const empty = await freshDatabase(inject('postgresUrl'))
    try {
      const nodes = [await empty.open(), await empty.open()]
      const named = [undefined, ADA, { ...ADA, subject: 'grace' }, { ...ADA, subject: 'alan' }]
      const outcomes = await Promise.allSettled(named.map((who, i) => ensureFirstOwner(nodes[i % 2]!, who)))
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'installation_owned' })
      const [count] = await empty.asSuperuser<{ n: number }>('select count(*)::int as n from sallyport.organization')
      expect(count!.n).toBe(1)
    } finally {
      await empty.drop()
    }
  })

  it('whose organization was deleted begins with another, and not under the id whose log has ended', async () => {
    const empty = await freshDatabase(inject('postgresUrl'))
    try {
      const its = await empty.open()
      const { person, org, project } = await ensureFirstOwner(its, ADA)
      await empty.asSuperuser(`delete from sallyport.organization where id = '${org}'`)
      const again = await ensureFirstOwner(its, ADA)
      expect(again).toMatchObject({ person, created: true })
      expect([again.org === org, again.project === project]).toEqual([false, false])
      expect(await ensureFirstOwner(its, ADA)).toEqual({ ...again, created: false })
    } finally {
      await empty.drop()
    }
  })

  it('is the person of an issuer that the configuration names, who needs no link', async () => {
    const empty = await freshDatabase(inject('postgresUrl'))
    try {
      const its = await empty.open()
      const first = await ensureFirstOwner(its, ADA)
      expect(first).toMatchObject({ created: true, link: undefined })
      expect(await ensureFirstOwner(its, ADA)).toEqual({ ...first, created: false })
      const claims = { id: newId('user'), ...ADA, name: 'Ada', email: null, issuerSession: null, issuedAt: new Date() }
      const { userId, standings } = await its.lookups.personSignIn(claims)
      expect([userId, standings]).toEqual([first.person, [{ org: first.org, role: 'OWNER', signIn: null }]])
      await expect(ensureFirstOwner(its, undefined)).rejects.toMatchObject({ code: 'installation_owned' })
    } finally {
      await empty.drop()
    }
  })
})
