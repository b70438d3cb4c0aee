import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { systemClock } from '@sallyport/core'
import { verifyOrganization } from '../../src/audit/index.ts'
import { organizationFind, projectFind } from '../../src/db/index.ts'
import type { Database } from '../../src/db/index.ts'
import { createSessions, ensureDevelopmentOwner, ownerLink } from '../../src/identity/index.ts'
import type { DevelopmentOwner } from '../../src/identity/index.ts'
import { freshDatabase } from '../db/fresh-database.ts'
import type { FreshDatabase } from '../db/fresh-database.ts'

let fresh: FreshDatabase
let database: Database
let owners: DevelopmentOwner[]

beforeAll(async () => {
  fresh = await freshDatabase(inject('postgresUrl'))
  database = await fresh.open()
  owners = await Promise.all(Array.from({ length: 10 }, () => ensureDevelopmentOwner(database)))
})
afterAll(() => fresh.drop())

const sessionsOf = (of: Database) => createSessions({ lookups: of.lookups, clock: systemClock, linkAssurance: 'aal2' })

describe('the development owner', () => {
  it('is made once by ten that start at the same moment, with organization, project and events', async () => {
    const [first] = owners as [DevelopmentOwner]
    expect(owners.filter(({ created }) => created)).toHaveLength(1)
    expect(new Set(owners.map(({ org, project, person }) => `${org} ${project} ${person}`)).size).toBe(1)
    const [organization, project] = await database.withTenant(first.org, async (tx) => [
      await organizationFind(tx),
      await projectFind(tx, first.project),
    ])
    expect([organization?.name, project?.name]).toEqual(['Development', 'default'])
    const counted = await fresh.asSuperuser<{ table: string; rows: string }>(
      `select 'organization' as table, count(*) as rows from sallyport.organization union all
       select 'project', count(*) from sallyport.project union all
       select 'person', count(*) from sallyport.person union all
       select 'membership', count(*) from sallyport.membership union all
       select 'audit_event', count(*) from sallyport.audit_event order by 1`,
    )
    expect(Object.fromEntries(counted.map(({ table, rows }) => [table, Number(rows)]))).toEqual({
      audit_event: 3,
      membership: 1,
      organization: 1,
      person: 1,
      project: 1,
    })
    expect(await verifyOrganization(database, first.org)).toMatchObject({ intact: true })
  })

  it('is found again by the next start, and not made anew', async () => {
    expect(await ensureDevelopmentOwner(database)).toEqual({ ...owners[0], created: false })
  })

  it('signs in once with a link, however many present it at the same moment', async () => {
    const [owner] = owners as [DevelopmentOwner]
    const sessions = sessionsOf(database)
    const link = await ownerLink(database.lookups, owner.person)
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => sessions.openWithLink(link)))
    const opened = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    expect(opened).toHaveLength(1)
    const person = await sessions.lookup(opened[0]!.token)
    expect(person).toMatchObject({ userId: owner.person, name: 'Owner', memberships: new Map([[owner.org, 'OWNER']]) })
  })

  it('K-02 leaves neither link nor session token in the database', async () => {
    const sessions = sessionsOf(database)
    const link = await ownerLink(database.lookups, owners[0]!.person)
    const kept = await ownerLink(database.lookups, owners[0]!.person)
    const { token } = await sessions.openWithLink(link)
    const rows = await fresh.asSuperuser<{ dump: string }>(
      `select coalesce(string_agg(encode(token_hash, 'hex') || encode(token_hash, 'escape'), ''), '') as dump
       from (select token_hash from sallyport.owner_link union all select token_hash from sallyport.console_session) hashes`,
    )
    for (const secret of [link, kept, token]) {
      expect(rows[0]!.dump).not.toContain(secret.reveal())
      expect(rows[0]!.dump).not.toContain(Buffer.from(secret.reveal(), 'base64url').toString('hex'))
    }
  })

  it('ends a session for a node that has not seen it before, at once', async () => {
    const [here, there] = [sessionsOf(database), sessionsOf(await fresh.open())]
    const { token } = await here.openWithLink(await ownerLink(database.lookups, owners[0]!.person))
    expect(await here.lookup(token)).toBeDefined()
    expect(await here.close(token)).toBe(true)
    expect([await here.lookup(token), await there.lookup(token)]).toEqual([undefined, undefined])
  })
})
