import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ROLE_CONTAINS, ROLES } from '@sallyport/contract'
import type { Role } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import type { OrgId, UserId } from '@sallyport/core'
import { membershipPut, organizationCreate } from '../../src/db/index.ts'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

type Person = Awaited<ReturnType<World['makePerson']>>
type Staff = Record<Role, Person>

/** An organization with one person of each role, all with verified addresses at example.com. */
async function makeStaff(): Promise<{ org: OrgId; path: string; people: Staff }> {
  const org = newId('org')
  await world.database.withTenant(org, (tx) => organizationCreate(tx, { name: 'Staffed' }))
  const people = {} as Staff
  for (const role of ROLES) people[role] = await world.makePerson(org, role, `${newId('user')}@example.com`)
  return { org, path: `/api/v1/orgs/${formatId('org', org)}`, people }
}

const call = (person: { readonly cookie: string }, method: string, path: string, body?: unknown): Promise<Answer> =>
  send(world, path, { method, headers: asPerson(person), ...(body === undefined ? {} : { body }) })

const user = (id: UserId): string => formatId('user', id)

async function actions(org: OrgId): Promise<string[]> {
  const rows = await asAdmin(world.adminUrl, 'select action from sallyport.audit_event where org_id = $1 order by seq', [org])
  return rows.map(({ action }) => String(action))
}

describe('members', () => {
  it('are listed in pages with who they are, and a cursor of one organization opens no page of another', async () => {
    const { org, path, people } = await makeStaff()
    const first = await call(people.VIEWER, 'GET', `${path}/members?limit=3`)
    const rest = await call(people.VIEWER, 'GET', `${path}/members?limit=3&cursor=${encodeURIComponent(first.json.next_cursor)}`)
    const listed = [...first.json.data, ...rest.json.data]
    expect(new Set(listed.map(({ role }) => String(role)))).toEqual(new Set(ROLES))
    expect(rest.json.next_cursor).toBeNull()
    expect(listed.every(({ email_verified: verified }) => verified)).toBe(true)
    const other = await makeStaff()
    const foreign = await call(other.people.OWNER, 'GET', `${other.path}/members?cursor=${encodeURIComponent(first.json.next_cursor)}`)
    expect(foreign.json).toMatchObject({ status: 400, code: 'validation_failed' })
    expect(org).not.toBe(other.org)
  })

  it('T-26 are given and taken no role that the caller does not have, in every pair of roles', async () => {
    const { org, path, people } = await makeStaff()
    // A second owner, so that it is never the last one that is asked about.
    await world.makePerson(org, 'OWNER')
    for (const maker of ROLES) {
      for (const from of ROLES) {
        for (const to of ROLES) {
          const target = await world.makePerson(org, from)
          const { status, json } = await call(people[maker], 'PATCH', `${path}/members/${user(target.id)}`, { role: to })
          const may = [ROLE_CONTAINS[maker].includes('ADMIN'), ROLE_CONTAINS[maker].includes(from), ROLE_CONTAINS[maker].includes(to)]
          expect([maker, from, to, status], json.code).toEqual([maker, from, to, may.every(Boolean) ? 200 : 403])
        }
      }
    }
  }, 60_000)

  it('T-08 T-26 promote nobody above themselves, themselves least of all', async () => {
    const { path, people } = await makeStaff()
    const answer = await call(people.ADMIN, 'PATCH', `${path}/members/${user(people.ADMIN.id)}`, { role: 'OWNER' })
    expect(answer.json).toMatchObject({ status: 403, code: 'role_exceeded' })
  })

  it('T-19 keep a last owner: it is not demoted, not removed, and does not leave', async () => {
    const { org, path, people } = await makeStaff()
    const self = `${path}/members/${user(people.OWNER.id)}`
    for (const [method, at, body] of [
      ['PATCH', self, { role: 'ADMIN' }],
      ['DELETE', self],
      ['DELETE', `${path}/membership`],
    ] as const) {
      expect((await call(people.OWNER, method, at, body)).json).toMatchObject({ status: 409, code: 'last_owner' })
    }
    expect(await actions(org)).toEqual([])
    await world.makePerson(org, 'OWNER')
    expect((await call(people.OWNER, 'DELETE', `${path}/membership`)).status).toBe(204)
    expect(await actions(org)).toEqual(['member.left'])
  })

  it('T-19 keep one owner of two who demote, remove and leave each other at once', async () => {
    for (let round = 0; round < 10; round++) {
      const { org, path, people } = await makeStaff()
      const second = await world.makePerson(org, 'OWNER')
      const [mine, theirs] = [`${path}/members/${user(people.OWNER.id)}`, `${path}/members/${user(second.id)}`]
      const answers = await Promise.all(
        round % 2 === 0
          ? [call(people.OWNER, 'PATCH', theirs, { role: 'VIEWER' }), call(second, 'PATCH', mine, { role: 'VIEWER' })]
          : [call(people.OWNER, 'DELETE', `${path}/membership`), call(second, 'DELETE', `${path}/membership`)],
      )
      expect(answers.filter(({ status }) => status < 300)).toHaveLength(1)
      expect(answers.every(({ status }) => status < 500)).toBe(true)
      const [row] = await asAdmin(
        world.adminUrl,
        `select count(*)::int as n from sallyport.membership where org_id = $1 and role = 'OWNER'`,
        [org],
      )
      expect(row!['n']).toBe(1)
    }
  }, 60_000)

  it('T-19 keep an owner against the gateway’s own login too', async () => {
    const { org, people } = await makeStaff()
    const demote = world.database.withTenant(org, (tx) => membershipPut(tx, people.OWNER.id, 'VIEWER'))
    await expect(demote).rejects.toMatchObject({ code: 'database_query_failed', sqlState: '23000' })
  })

  it('lose their access with the next request when they are removed', async () => {
    const { path, people } = await makeStaff()
    expect((await call(people.DEVELOPER, 'GET', path)).status).toBe(200)
    expect((await call(people.ADMIN, 'DELETE', `${path}/members/${user(people.DEVELOPER.id)}`)).status).toBe(204)
    expect((await call(people.DEVELOPER, 'GET', path)).json).toMatchObject({ status: 404, code: 'not_found' })
  })
})

describe('an invitation', () => {
  const invite = (at: { path: string }, by: Person, email: string, role: Role = 'DEVELOPER', more: object = {}) =>
    call(by, 'POST', `${at.path}/invitations`, { email, role, ...more })
  const accept = (person: Person, token: string) => call(person, 'POST', '/api/v1/invitations/accept', { token })
  const fresh = (): string => `${newId('user')}@example.com`

  it('T-25 makes whoever has the verified address a member, once, whatever the size of its letters', async () => {
    const staff = await makeStaff()
    const email = fresh()
    const made = await invite(staff, staff.people.ADMIN, email.toUpperCase())
    expect(made.json).toMatchObject({ invitation: { email, role: 'DEVELOPER', state: 'open' } })
    expect(made.json.link).toBe(`http://127.0.0.1:7255/console/#invitation=${made.json.token}`)
    const person = await world.makePerson(staff.org, undefined, email.replace('example', 'Example'))
    expect((await accept(person, made.json.token)).json).toMatchObject({ id: formatId('org', staff.org), role: 'DEVELOPER' })
    expect((await call(person, 'GET', staff.path)).status).toBe(200)
    expect((await accept(person, made.json.token)).json).toMatchObject({ status: 410, code: 'invitation_invalid' })
    expect(await actions(staff.org)).toEqual(['invitation.created', 'invitation.accepted'])
    const log = world.log.join('')
    expect(log).not.toContain(made.json.token)
    expect(log).not.toContain(email)
  })

  it('T-25 is for nobody else: another address, one that nobody vouches for, none', async () => {
    const staff = await makeStaff()
    const email = fresh()
    const { token } = (await invite(staff, staff.people.ADMIN, email)).json
    const unverified = await world.makePerson(staff.org, undefined, email)
    await asAdmin(world.adminUrl, 'update sallyport.person set email_verified = false where id = $1', [unverified.id])
    for (const person of [
      await world.makePerson(staff.org, undefined, fresh()),
      unverified,
      await world.makePerson(staff.org, undefined),
    ]) {
      expect((await accept(person, token)).json).toMatchObject({ status: 403, code: 'invitation_email_mismatch' })
      expect((await call(person, 'GET', staff.path)).status).toBe(404)
    }
  })

  it('T-25 is not accepted by a look-alike whose letters become the invited ones', async () => {
    const staff = await makeStaff()
    const { token } = (await invite(staff, staff.people.ADMIN, 'kim@example.com')).json
    const lookAlike = await world.makePerson(staff.org, undefined, '\u212aim@example.com')
    expect((await accept(lookAlike, token)).json).toMatchObject({ code: 'invitation_email_mismatch' })
    expect((await invite(staff, staff.people.ADMIN, '\u212aim@example.com')).json).toMatchObject({ status: 400, code: 'validation_failed' })
  })

  it('T-25 is over when it expired, was taken back, was replaced, or is made up', async () => {
    const staff = await makeStaff()
    const email = fresh()
    const person = await world.makePerson(staff.org, undefined, email)
    const expired = (await invite(staff, staff.people.ADMIN, email)).json
    await asAdmin(world.adminUrl, `update sallyport.invitation set expires_at = clock_timestamp() where org_id = $1`, [staff.org])
    const replaced = (await invite(staff, staff.people.ADMIN, email)).json
    const revoked = (await invite(staff, staff.people.ADMIN, email)).json
    const listed = (await call(staff.people.ADMIN, 'GET', `${staff.path}/invitations`)).json.data
    expect(listed.map(({ state }: { state: string }) => state)).toEqual(['open', 'revoked', 'revoked'])
    const taken = await call(staff.people.ADMIN, 'DELETE', `${staff.path}/invitations/${revoked.invitation.id}`)
    expect(taken.json).toMatchObject({ state: 'revoked' })
    for (const token of [expired.token, replaced.token, revoked.token, 'x'.repeat(43)]) {
      expect((await accept(person, token)).json).toMatchObject({ status: 410, code: 'invitation_invalid' })
    }
  })

  it('T-25 stands and falls with its maker: demoted, removed or gone, nothing comes of it', async () => {
    const staff = await makeStaff()
    const maker = await world.makePerson(staff.org, 'ADMIN')
    const email = fresh()
    const { token } = (await invite(staff, maker, email, 'ADMIN')).json
    const person = await world.makePerson(staff.org, undefined, email)
    const at = `${staff.path}/members/${user(maker.id)}`
    await call(staff.people.OWNER, 'PATCH', at, { role: 'DEVELOPER' })
    expect((await accept(person, token)).json).toMatchObject({ code: 'invitation_invalid' })
    await call(staff.people.OWNER, 'DELETE', at)
    expect((await accept(person, token)).json).toMatchObject({ code: 'invitation_invalid' })
  })

  it('T-26 offers no larger role than its maker has, and none by those who may not invite', async () => {
    const staff = await makeStaff()
    expect((await invite(staff, staff.people.ADMIN, fresh(), 'OWNER')).json).toMatchObject({ status: 403, code: 'role_exceeded' })
    for (const role of ['DEVELOPER', 'BILLING', 'VIEWER'] as const) {
      expect((await invite(staff, staff.people[role], fresh(), role)).json).toMatchObject({ status: 403, code: 'forbidden' })
    }
  })

  it('changes nobody’s role: a member who accepts one stays what they are', async () => {
    const staff = await makeStaff()
    const email = fresh()
    const { token } = (await invite(staff, staff.people.OWNER, email, 'OWNER')).json
    const member = await world.makePerson(staff.org, 'VIEWER', email)
    expect((await accept(member, token)).json).toMatchObject({ status: 409, code: 'conflict' })
    expect((await call(member, 'GET', `${staff.path}/settings`)).json).toMatchObject({ code: 'forbidden' })
  })

  it('T-25 is accepted once by two sessions of the person at the same moment', async () => {
    const staff = await makeStaff()
    const email = fresh()
    const { token } = (await invite(staff, staff.people.ADMIN, email)).json
    const people = await Promise.all([1, 2, 3].map(() => world.makePerson(staff.org, undefined, email)))
    const answers = await Promise.all(people.map((person) => accept(person, token)))
    expect(answers.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 410, 410])
  })

  it('is no matter of keys', async () => {
    const answer = await send(world, '/api/v1/invitations/accept', {
      method: 'POST',
      headers: asKey(world.a.key),
      body: { token: 'x'.repeat(43) },
    })
    expect(answer.json).toMatchObject({ status: 403, code: 'forbidden' })
  })
})

describe('the domains of an organization', () => {
  const settle = (person: Person, path: string, change: object) => call(person, 'PATCH', `${path}/settings`, change)

  it('are held to at invitation, at acceptance and at every look at a session', async () => {
    const staff = await makeStaff()
    const stranger = await world.makePerson(staff.org, 'DEVELOPER', `${newId('user')}@elsewhere.example`)
    const invited = `${newId('user')}@elsewhere.example`
    const { token } = (await call(staff.people.ADMIN, 'POST', `${staff.path}/invitations`, { email: invited, role: 'VIEWER' })).json
    expect((await call(stranger, 'GET', staff.path)).status).toBe(200)
    expect((await settle(staff.people.OWNER, staff.path, { email_domains: ['Example.com'] })).json.settings.email_domains).toEqual([
      'example.com',
    ])

    expect((await call(stranger, 'GET', staff.path)).json).toMatchObject({ status: 404, code: 'not_found' })
    const again = await call(staff.people.ADMIN, 'POST', `${staff.path}/invitations`, { email: invited, role: 'VIEWER' })
    expect(again.json).toMatchObject({ status: 403, code: 'email_domain_refused' })
    const person = await world.makePerson(staff.org, undefined, invited)
    const accepted = await call(person, 'POST', '/api/v1/invitations/accept', { token })
    expect(accepted.json).toMatchObject({ status: 403, code: 'email_domain_refused' })
    expect((await call(staff.people.VIEWER, 'GET', staff.path)).status).toBe(200)
  })

  it('take nobody in whose address is not verified, or only ends like one of them', async () => {
    const staff = await makeStaff()
    await settle(staff.people.OWNER, staff.path, { email_domains: ['example.com'] })
    const unverified = await world.makePerson(staff.org, 'ADMIN', `${newId('user')}@example.com`)
    await asAdmin(world.adminUrl, 'update sallyport.person set email_verified = false where id = $1', [unverified.id])
    const others = ['a@notexample.com', 'a@sub.example.com', 'a@example.com.evil.test', 'a@e\u0445ample.com']
    const people = [unverified, await world.makePerson(staff.org, 'ADMIN')]
    for (const email of others) people.push(await world.makePerson(staff.org, 'ADMIN', email))
    for (const person of people) expect((await call(person, 'GET', staff.path)).status).toBe(404)
  })

  it('never lock out whoever settles them', async () => {
    const staff = await makeStaff()
    const answer = await settle(staff.people.OWNER, staff.path, { email_domains: ['elsewhere.example'] })
    expect(answer.json).toMatchObject({ status: 403, code: 'email_domain_refused' })
    expect((await call(staff.people.OWNER, 'GET', staff.path)).status).toBe(200)
  })

  it('T-19 leave no organization to an owner whom they keep out: who is the last that gets in stays', async () => {
    const staff = await makeStaff()
    const outside = await world.makePerson(staff.org, 'OWNER', `${newId('user')}@elsewhere.example`)
    expect((await settle(staff.people.OWNER, staff.path, { email_domains: ['example.com'] })).status).toBe(200)
    const leaving = await call(staff.people.OWNER, 'DELETE', `${staff.path}/membership`)
    expect(leaving.json).toMatchObject({ status: 409, code: 'last_owner' })
    const self = `${staff.path}/members/${user(staff.people.OWNER.id)}`
    expect((await call(staff.people.OWNER, 'PATCH', self, { role: 'ADMIN' })).json).toMatchObject({ status: 409, code: 'last_owner' })
    expect((await call(staff.people.OWNER, 'DELETE', `${staff.path}/members/${user(outside.id)}`)).status).toBe(204)
  })

  it('T-25 void the invitations of whom they keep out', async () => {
    const staff = await makeStaff()
    const maker = await world.makePerson(staff.org, 'ADMIN', `${newId('user')}@elsewhere.example`)
    const invited = `${newId('user')}@example.com`
    const { token } = (await call(maker, 'POST', `${staff.path}/invitations`, { email: invited, role: 'ADMIN' })).json
    await settle(staff.people.OWNER, staff.path, { email_domains: ['example.com'] })
    const person = await world.makePerson(staff.org, undefined, invited)
    const accepted = await call(person, 'POST', '/api/v1/invitations/accept', { token })
    expect(accepted.json).toMatchObject({ status: 410, code: 'invitation_invalid' })
  })

  it('are settled by owners alone, and nothing of a change that is partly refused is kept', async () => {
    const staff = await makeStaff()
    const change = { audit_use_mode: 'strict', email_domains: ['example.com'] }
    expect((await settle(staff.people.ADMIN, staff.path, change)).json).toMatchObject({ status: 403, code: 'role_exceeded' })
    const { settings, chosen } = (await call(staff.people.ADMIN, 'GET', `${staff.path}/settings`)).json
    expect([settings, chosen]).toEqual([expect.objectContaining({ audit_use_mode: 'batched', email_domains: [] }), []])
  })
})

describe('settings', () => {
  it('are on record with what they were, by whom, and hold for keys at once', async () => {
    const owner = world.b.people.OWNER
    const path = `/api/v1/orgs/${world.b.params.org}/settings`
    expect((await world.keys.authenticate(world.b.key, '192.0.2.1')).auditUseMode).toBe('batched')
    const { json } = await call(owner, 'PATCH', path, { audit_use_mode: 'strict' })
    expect(json).toMatchObject({ settings: { audit_use_mode: 'strict' }, chosen: [{ name: 'audit_use_mode', by: user(owner.id) }] })
    expect((await world.keys.authenticate(world.b.key, '192.0.2.1')).auditUseMode).toBe('strict')
    await call(owner, 'PATCH', path, { audit_use_mode: 'strict' })
    const rows = await asAdmin(
      world.adminUrl,
      `select actor, detail from sallyport.audit_event where org_id = $1 and action = 'settings.updated'`,
      [world.b.org],
    )
    expect(rows).toEqual([{ actor: user(owner.id), detail: '{"audit_use_mode":{"from":"batched","to":"strict"}}' }])
  })

  it('refuse what is no setting, and values that are none', async () => {
    const path = `/api/v1/orgs/${world.b.params.org}/settings`
    for (const change of [
      {},
      { audit_use_mode: 'off' },
      { unknown: 1 },
      { email_domains: ['exa mple.com'] },
      { email_domains: 'example.com' },
    ]) {
      expect((await call(world.b.people.OWNER, 'PATCH', path, change)).json).toMatchObject({ status: 400, code: 'validation_failed' })
    }
  })
})

describe('an organization', () => {
  it('is made by somebody who owns one, who owns it then, with a log of its own', async () => {
    const { people } = await makeStaff()
    const made = await call(people.OWNER, 'POST', '/api/v1/orgs', { name: 'A second one' })
    expect(made).toMatchObject({ status: 201, json: { name: 'A second one', role: 'OWNER' } })
    expect((await call(people.OWNER, 'GET', `/api/v1/orgs/${made.json.id}`)).json).toMatchObject({ name: 'A second one' })
    const log = (await call(people.OWNER, 'GET', `/api/v1/orgs/${made.json.id}/audit-events`)).json.data
    expect(log.map(({ action }: { action: string }) => action)).toEqual(['membership.granted', 'organization.created'])
  })

  it('is not made by people who own none, nor by keys', async () => {
    const { people } = await makeStaff()
    expect((await call(people.ADMIN, 'POST', '/api/v1/orgs', { name: 'Mine' })).json).toMatchObject({ status: 403, code: 'forbidden' })
    const byKey = await send(world, '/api/v1/orgs', { method: 'POST', headers: asKey(world.a.key), body: { name: 'Mine' } })
    expect(byKey.json).toMatchObject({ status: 403, code: 'forbidden' })
  })

  const found = (person: Person, name: string, key: string): Promise<Answer> =>
    send(world, '/api/v1/orgs', { method: 'POST', headers: { ...asPerson(person), 'idempotency-key': key }, body: { name } })
  const ownedBy = async (person: Person): Promise<number> => {
    const rows = await asAdmin(world.adminUrl, `select 1 from sallyport.membership where person_id = $1 and role = 'OWNER'`, [person.id])
    return rows.length
  }

  it('is made once under an Idempotency-Key, also when it is asked for many times at once, and answered alike', async () => {
    const { people } = await makeStaff()
    const answers = await Promise.all(Array.from({ length: 6 }, () => found(people.OWNER, 'Once', 'a-key')))
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(201))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(5)
    expect(await ownedBy(people.OWNER)).toBe(2)
    const later = await found(people.OWNER, 'Once', 'a-key')
    expect([later.text, later.headers['idempotency-replayed']]).toEqual([answers[0]!.text, 'true'])
    expect((await found(people.OWNER, 'Another', 'a-key')).json).toMatchObject({ status: 409, code: 'idempotency_mismatch' })
    expect((await found(people.OWNER, 'Once', 'another-key')).json.id).not.toBe(later.json.id)
    expect((await found(people.OWNER, 'Once', 'with a space')).json.code).toBe('idempotency_key_invalid')
  })

  it('is another under the same key for another person, and for the same one after a day', async () => {
    const [one, two] = [await makeStaff(), await makeStaff()]
    const first = await found(one.people.OWNER, 'Mine', 'shared')
    expect((await found(two.people.OWNER, 'Mine', 'shared')).json.id).not.toBe(first.json.id)
    await asAdmin(world.adminUrl, `update sallyport.organization_creation set made_at = made_at - interval '25 hours'`)
    const again = await found(one.people.OWNER, 'Mine', 'shared')
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([201, undefined])
    expect(again.json.id).not.toBe(first.json.id)
  })

  it('leaves its key free when it was refused, and keeps neither key nor request', async () => {
    const { people } = await makeStaff()
    expect((await found(people.ADMIN, 'Refused', 'a-telling-key')).json.code).toBe('forbidden')
    await found(people.OWNER, 'A telling name', 'a-telling-key')
    const stored = await asAdmin(world.adminUrl, 'select * from sallyport.organization_creation')
    expect(stored.length).toBeGreaterThan(0)
    for (const { key_hash: key, request_hash: request } of stored)
      expect(`${(key as Buffer).toString('latin1')}${(request as Buffer).toString('latin1')}`).not.toMatch(/telling/u)
  })

  it('is one of so many that a person may own, also when many are asked for at once', async () => {
    const its = await createWorld(inject('postgresUrl'), { organizationsPerOwner: 3 })
    try {
      const make = () => send(its, '/api/v1/orgs', { method: 'POST', headers: asPerson(its.a.people.OWNER), body: { name: 'More' } })
      const codes = (await Promise.all(Array.from({ length: 8 }, make))).map(({ status, json }) => json.code ?? status)
      expect(codes.filter((code) => code === 201)).toHaveLength(2)
      expect(codes.filter((code) => code === 'organization_limit')).toHaveLength(6)
      expect((await make()).status).toBe(409)
      // Of others it is no matter.
      const other = { method: 'POST', headers: asPerson(its.b.people.OWNER), body: { name: 'More' } }
      expect((await send(its, '/api/v1/orgs', other)).status).toBe(201)
    } finally {
      await its.close()
    }
  })

  it('T-26 is deleted, and its sign-in policy changed, by nobody who was demoted a moment ago, whatever this node remembers', async () => {
    const { org, path, people } = await makeStaff()
    await world.makePerson(org, 'OWNER')
    expect((await call(people.OWNER, 'GET', path)).status).toBe(200)
    // By a hand that tells no node.
    await asAdmin(world.adminUrl, `alter table sallyport.membership disable trigger changed`)
    await asAdmin(world.adminUrl, `update sallyport.membership set role = 'VIEWER' where org_id = $1 and person_id = $2`, [
      org,
      people.OWNER.id,
    ])
    await asAdmin(world.adminUrl, `alter table sallyport.membership enable trigger changed`)
    expect((await call(people.OWNER, 'POST', `${path}/deletion`, { confirm: 'Staffed' })).json.code).toBe('role_exceeded')
    expect((await call(people.OWNER, 'PATCH', `${path}/sign-in-policy`, { ways: null })).json.code).toMatch(
      /^(?:role_exceeded|forbidden)$/u,
    )
    expect(await actions(org)).toEqual([])
  })

  it('is listed, in pages, to its members and to nobody else', async () => {
    const { org, people } = await makeStaff()
    const other = await makeStaff()
    await world.database.withTenant(other.org, (tx) => membershipPut(tx, people.OWNER.id, 'VIEWER'))
    const first = await call(people.OWNER, 'GET', '/api/v1/orgs?limit=1')
    const second = await call(people.OWNER, 'GET', `/api/v1/orgs?limit=1&cursor=${encodeURIComponent(first.json.next_cursor)}`)
    const listed = [...first.json.data, ...second.json.data].map(({ id, role }) => [id, role])
    expect(listed).toEqual([
      [formatId('org', org), 'OWNER'],
      [formatId('org', other.org), 'VIEWER'],
    ])
    expect(second.json.next_cursor).toBeNull()
    const foreign = await call(people.ADMIN, 'GET', `/api/v1/orgs?limit=1&cursor=${encodeURIComponent(first.json.next_cursor)}`)
    expect(foreign.json).toMatchObject({ status: 400, code: 'validation_failed' })
  })
})

describe('a project', () => {
  it('is made with both environments, and at rest takes no key and makes nothing until it is restored', async () => {
    const owner = world.a.people.OWNER
    const base = `/api/v1/orgs/${world.a.params.org}/projects`
    const made = await call(owner, 'POST', base, { name: 'Second', return_origins: ['https://app.example.com'] })
    expect(made).toMatchObject({ status: 201, json: { name: 'Second', archived_at: null } })
    const path = `${base}/${made.json.id}`
    const keys: string[] = []
    for (const environment of ['live', 'test']) {
      const key = await call(owner, 'POST', `${path}/${environment}/keys`, { name: 'k', scopes: ['keys:read'] })
      expect(key.status).toBe(201)
      keys.push(key.json.secret)
    }
    const asked = async () =>
      Promise.all(
        keys.map(async (key, i) => (await send(world, `${path}/${i === 0 ? 'live' : 'test'}/keys`, { headers: asKey(key) })).status),
      )
    expect(await asked()).toEqual([200, 200])

    expect((await call(owner, 'POST', `${path}/archive`)).json.archived_at).not.toBeNull()
    expect(await asked()).toEqual([401, 401])
    const refused = await call(owner, 'POST', `${path}/test/keys`, { name: 'k', scopes: ['keys:read'] })
    expect(refused.json).toMatchObject({ status: 409, code: 'project_archived' })
    expect((await call(owner, 'GET', `${path}/test/keys`)).status).toBe(200)
    expect((await call(owner, 'POST', `${path}/archive`)).status).toBe(200)

    expect((await call(owner, 'POST', `${path}/restore`)).json.archived_at).toBeNull()
    expect(await asked()).toEqual([200, 200])
    const events = (await actions(world.a.org)).filter((action) => action.startsWith('project.'))
    expect(events.slice(-3)).toEqual(['project.created', 'project.archived', 'project.restored'])
  })
})
