/** Reading and exporting the audit log, over the typed client and over bare HTTP. */
import { get } from 'node:http'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createClient } from '../../../client/src/index.ts'
import type { Client } from '../../../client/src/index.ts'
import { formatId } from '@sallyport/core'
import { appendAudit, readPublicKey, verifyExport } from '../../src/audit/index.ts'
import type { AuditEvent } from '../../src/audit/index.ts'
import { asPerson, createWorld, send } from './world.ts'
import type { TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const personOf = (person: { cookie: string }): Client =>
  createClient({ baseUrl: world.url, cookies: person.cookie, headers: { origin: 'http://127.0.0.1:7255' } })
const append = (at: TestOrg, ...events: AuditEvent[]): Promise<void> =>
  world.database.withTenant(at.org, (tx) => appendAudit(tx, ...events))
const event = (over: Partial<AuditEvent>): AuditEvent => ({ action: 'thing.changed', actor: 'system', target: 't', detail: {}, ...over })
const list = async (query: Record<string, unknown>, at = world.a) =>
  (await personOf(at.people.ADMIN).call('auditEventList', { params: { org: at.params.org }, query })).data

describe('the list of audit events', () => {
  it('is filtered by who, what, to what, when and how it ended, and by all of them at once', async () => {
    const before = new Date().toISOString()
    await append(
      world.a,
      event({ action: 'gate.opened', actor: 'user_1', target: 'gate 1' }),
      event({ action: 'gate.open_failed', actor: 'user_1', target: 'gate 2' }),
      event({ action: 'gate.refused', actor: 'user_2', target: 'gate 1' }),
    )
    const targets = async (query: Record<string, unknown>) => (await list({ from: before, ...query })).map(({ action }) => action)
    expect(await targets({ actor: 'user_1' })).toEqual(['gate.open_failed', 'gate.opened'])
    expect(await targets({ target: 'gate 1' })).toEqual(['gate.refused', 'gate.opened'])
    expect(await targets({ action: 'gate.opened' })).toEqual(['gate.opened'])
    expect(await targets({ outcome: 'failed' })).toEqual(['gate.open_failed'])
    expect(await targets({ outcome: 'refused' })).toEqual(['gate.refused'])
    expect(await targets({ outcome: 'done', actor: 'user_1', target: 'gate 1', action: 'gate.opened' })).toEqual(['gate.opened'])
    expect(await targets({ actor: 'user_2', target: 'gate 2' })).toEqual([])
    expect(await list({ until: before, actor: 'user_1' })).toEqual([])
  })

  it('T-23 has cursors that are of one list of filters and one organization', async () => {
    await append(world.a, ...Array.from({ length: 5 }, (_, i) => event({ actor: 'user_paged', target: `${i}` })))
    const person = personOf(world.a.people.ADMIN)
    const query = { actor: 'user_paged', limit: 2 }
    const page = await person.call('auditEventList', { params: { org: world.a.params.org }, query })
    const rest = await person.call('auditEventList', {
      params: { org: world.a.params.org },
      query: { ...query, cursor: page.next_cursor! },
    })
    expect([...page.data, ...rest.data].map(({ target }) => target)).toEqual(['4', '3', '2', '1'])
    const cursor = page.next_cursor!
    for (const other of [{ actor: 'user_1' }, { actor: 'user_paged', outcome: 'done' as const }, {}]) {
      const call = person.call('auditEventList', { params: { org: world.a.params.org }, query: { ...other, cursor } })
      await expect(call).rejects.toMatchObject({ status: 400, code: 'validation_failed' })
    }
    const foreign = personOf(world.b.people.ADMIN).call('auditEventList', {
      params: { org: world.b.params.org },
      query: { ...query, cursor },
    })
    await expect(foreign).rejects.toMatchObject({ status: 400 })
  })

  it('A-15 is on record when it is read, with what was asked for, and not again while nothing else happened', async () => {
    for (let round = 0; round < 3; round += 1) await list({ actor: 'user_nobody' })
    const reads = await list({ action: 'audit_log.read', limit: 200 })
    const asked = reads.filter(({ detail }) => JSON.stringify(detail).includes('user_nobody'))
    expect(asked).toHaveLength(1)
    expect(asked[0]).toMatchObject({ actor: formatId('user', world.a.people.ADMIN.id), target: world.a.params.org })
  })

  it('takes no filter that it does not know, and none of another form', async () => {
    for (const query of ['who=1', 'outcome=maybe', 'from=yesterday', 'action=%25', 'actor=']) {
      const answer = await send(world, `/api/v1/orgs/${world.a.params.org}/audit-events?${query}`, {
        headers: asPerson(world.a.people.ADMIN),
      })
      expect([query, answer.status]).toEqual([query, 400])
    }
  })
})

describe('what the log says of a person', () => {
  it('L-12 is read by ADMIN and OWNER, and after its owner has forgotten them by nobody', async () => {
    const { id, cookie } = await world.makePerson(world.a.org, 'VIEWER', 'viewer@example.test')
    const about = formatId('user', id)
    const ended = await send(world, '/api/v1/session', {
      method: 'DELETE',
      headers: { ...asPerson({ cookie }), 'user-agent': 'A browser' },
    })
    expect(ended.status).toBe(204)
    const [event] = await list({ target: about, action: 'session.ended' })
    expect(event!.personal).toMatchObject({ facts: { email: 'viewer@example.test', address: '127.0.0.1', user_agent: 'A browser' } })
    expect(JSON.stringify(event!.detail)).not.toMatch(/viewer@|127\.0|browser/u)
    const forget = (person: { cookie: string }, at = world.a) =>
      personOf(person).call('auditForget', { params: { org: at.params.org }, body: { about } })
    await expect(forget(world.a.people.ADMIN)).rejects.toMatchObject({ status: 403 })
    // Another organization's owner forgets what is said there, and nothing of this one.
    expect(await forget(world.b.people.OWNER, world.b)).toEqual({ about, forgotten: false })
    expect((await list({ target: about, action: 'session.ended' }))[0]!.personal!.facts).not.toBeNull()
    expect(await forget(world.a.people.OWNER)).toEqual({ about, forgotten: true })
    expect(await forget(world.a.people.OWNER)).toEqual({ about, forgotten: false })
    expect((await list({ target: about, action: 'session.ended' }))[0]!.personal).toEqual({ sealed: event!.personal!.sealed, facts: null })
    expect(await list({ target: about, action: 'audit_log.person_forgotten' })).toMatchObject([
      { actor: formatId('user', world.a.people.OWNER.id), detail: { forgotten: false } },
      { detail: { forgotten: true } },
    ])
    const { intact } = await personOf(world.a.people.ADMIN).call('auditVerify', { params: { org: world.a.params.org } })
    expect(intact).toBe(true)
  })

  it('S69 goes for a person with the invitations that they accepted', async () => {
    const owner = personOf(world.a.people.OWNER)
    const params = { org: world.a.params.org }
    const { id, cookie } = await world.makePerson(world.b.org, 'VIEWER', 'invited@example.test')
    const { invitation, token } = await owner.call('invitationCreate', {
      params,
      body: { email: 'invited@example.test', role: 'VIEWER' },
    })
    const [made] = await list({ target: invitation.id, action: 'invitation.created' })
    expect(made).toMatchObject({ detail: { role: 'VIEWER' }, personal: { facts: { email: 'invited@example.test' } } })
    await personOf({ cookie }).call('invitationAccept', { body: { token } })
    const about = formatId('user', id)
    expect((await list({ target: about, action: 'invitation.accepted' }))[0]!.personal!.facts).toMatchObject({
      email: 'invited@example.test',
    })
    await owner.call('auditForget', { params, body: { about } })
    for (const target of [about, invitation.id]) {
      const events = await list({ target })
      expect(events.filter(({ personal }) => (personal?.facts ?? null) !== null)).toEqual([])
    }
  })
})

describe('an export over HTTP', () => {
  const exportOf = (at: TestOrg, query = '') =>
    send(world, `/api/v1/orgs/${at.params.org}/audit-events/export${query}`, { headers: asPerson(at.people.OWNER) })
  const ended = async (at: TestOrg) => (await list({ action: 'audit_log.export_ended', limit: 1 }, at))[0]

  it('T-15 is whole, proven by the published key alone, and on record before and after with its count of rows', async () => {
    await append(world.a, event({ detail: { text: 'ünï\u2028code, "quoted"' } }))
    const answer = await exportOf(world.a)
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/jsonl; charset=utf-8'])
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'content-disposition': expect.stringContaining('attachment') })
    const { keys } = await createClient({ baseUrl: world.url }).call('auditSigningKeyList')
    const lines = answer.text.slice(0, -1).split('\n')
    const verdict = await verifyExport(
      (async function* () {
        yield* lines
      })(),
      keys.map(({ x }) => readPublicKey(x)),
    )
    expect(verdict).toMatchObject({ intact: true, firstFault: null })
    expect(await ended(world.a)).toMatchObject({
      detail: { format: 'jsonl', rows: Number(verdict.events), complete: true, filtered: false },
    })
    const began = await list({ action: 'audit_log.exported', limit: 1 })
    expect(began).toMatchObject([{ actor: formatId('user', world.a.people.OWNER.id), detail: { format: 'jsonl', filter: {} } }])
  })

  it('L-17 is CSV that no spreadsheet computes, row for row', async () => {
    const nasty = ['=1+1', '+x', '-x', '@x', '"quoted", and\r\nmore']
    await append(world.b, ...nasty.map((target) => event({ target, actor: 'user_csv' })))
    const answer = await exportOf(world.b, '?format=csv&actor=user_csv')
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8; header=present')
    const [head, ...rows] = answer.text.split(/\r\n(?=\d|$)/u)
    expect(head).toBe('seq,at,actor,action,target,detail,personal,prev_hash,hash')
    expect(rows.filter((row) => row !== '').map((row) => row.split(',thing.changed,')[1]!.split(',{}')[0])).toEqual([
      "'=1+1",
      "'+x",
      "'-x",
      "'@x",
      '"""quoted"", and\r\nmore"',
    ])
    expect(await ended(world.b)).toMatchObject({ detail: { rows: 5, filtered: true } })
  })

  it('A-15 says so when it was broken off', async () => {
    const long = 'x'.repeat(2_000)
    for (let i = 0; i < 10; i += 1) await append(world.b, ...Array.from({ length: 500 }, () => event({ detail: { long } })))
    await new Promise<void>((resolve, reject) => {
      const request = get(
        `${world.url}/api/v1/orgs/${world.b.params.org}/audit-events/export`,
        { headers: asPerson(world.b.people.OWNER) },
        (response) => {
          response.once('data', () => response.destroy())
          response.once('close', () => resolve())
        },
      )
      request.once('error', reject)
    })
    await expect.poll(async () => (await ended(world.b))?.detail, { timeout: 30_000 }).toMatchObject({ complete: false })
    // And holds up nobody.
    expect((await exportOf(world.b, '?actor=nobody')).status).toBe(200)
  })

  it('is made at most twenty times an hour, whichever node is asked', async () => {
    await append(world.b, ...Array.from({ length: 20 }, () => event({ action: 'audit_log.exported' })))
    const refused = await exportOf(world.b)
    expect([refused.status, refused.json.code]).toEqual([429, 'rate_limited'])
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(60)
  })
})
