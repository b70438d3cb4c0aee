/** An organization as one stream, over HTTP. */
import { get } from 'node:http'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { formatId, newId } from '@sallyport/core'
import { appendAudit } from '../../src/audit/index.ts'
import { requestRecordInsertMany } from '../../src/db/index.ts'
import { asAdmin, asKey, asPerson, createWorld, send } from './world.ts'
import type { Answer, TestOrg, World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(inject('postgresUrl'))
})
afterAll(() => world?.close())

const pathOf = (at: TestOrg, query = ''): string => `/api/v1/orgs/${at.params.org}/export${query}`
const exportOf = (at: TestOrg, query = ''): Promise<Answer> => send(world, pathOf(at, query), { headers: asPerson(at.people.OWNER) })

type Line = { readonly type: string } & Record<string, unknown>
const linesOf = ({ text }: Answer): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

/** Events of its exports, oldest first. */
async function exports(at: TestOrg): Promise<[string, Record<string, unknown>][]> {
  const rows = await asAdmin(
    world.adminUrl,
    `select action, detail::jsonb as detail from sallyport.audit_event where org_id = $1 and action like 'organization.export%' order by seq`,
    [at.org],
  )
  return rows.map(({ action, detail }) => [String(action), detail as Record<string, unknown>])
}

describe('an export of an organization', () => {
  it('T-15 has everything of it in the API’s own shapes and nothing of another, and is on record before and after with its count', async () => {
    const answer = await exportOf(world.a)
    expect([answer.status, answer.headers['content-type'], answer.headers['cache-control']]).toEqual([
      200,
      'application/jsonl; charset=utf-8',
      'no-store',
    ])
    expect(answer.headers['content-disposition']).toBe(`attachment; filename="organization-${world.a.params.org}.jsonl"`)
    const lines = linesOf(answer)
    expect(lines[0]).toMatchObject({ type: 'sallyport-organization-export', version: 1, org: world.a.params.org, requests: true })
    const counts = { organization: 1, settings: 1, sign_in_policy: 1, data_key: 1, member: 5, invitation: 1, project: 2, integration: 1 }
    expect(lines.at(-1)).toEqual({
      type: 'end',
      rows: { ...counts, budget: 1, event_source: 1, key: 1, provider_key: 2, model_route: 1, connection: 1, request: 1 },
    })
    const of = (type: string): Line | undefined => lines.find((line) => line.type === type)
    expect(of('key')).toMatchObject({ id: world.a.params.key, project: world.a.params.project, environment: 'test', rate_limit: null })
    expect(of('connection')).toMatchObject({ id: world.a.params.connection, status: 'active' })
    expect(of('integration')).toMatchObject({ id: world.a.params.integration, client_id: 'client-of-A' })
    for (const foreign of Object.values(world.b.params).filter((text) => text.includes('_')))
      expect(answer.text).not.toContain(`"${foreign}"`)
    expect(await exports(world.a)).toEqual([
      ['organization.exported', { requests: true }],
      ['organization.export_ended', { requests: true, rows: lines.length - 2, complete: true }],
    ])
  })

  it('K-01 L-05 has no secret, no credential, no hash and no sealed text in it', async () => {
    const { text } = await exportOf(world.a)
    const stored = await asAdmin(
      world.adminUrl,
      `select client_secret as bytes from sallyport.integration union all select sealed from sallyport.credential_version
       union all select secret_hmac from sallyport.api_key union all select secret from sallyport.event_source
       union all select token_hash from sallyport.invitation union all select wrapped from sallyport.data_key
       union all select sealed from sallyport.provider_key where sealed is not null union all select fingerprint from sallyport.provider_key`,
    )
    expect(stored.length).toBeGreaterThan(8)
    for (const { bytes } of stored)
      for (const spelling of ['hex', 'base64', 'base64url'] as const) expect(text).not.toContain((bytes as Buffer).toString(spelling))
    const [, , , secret] = world.a.key.split('_')
    for (const canary of ['not-a-real-client-secret', 'not-a-real-event-secret', 'fake-access', world.a.key, secret!, '$argon2id$'])
      expect(text).not.toContain(canary)
  })

  it('leaves the records of calls out where that is asked', async () => {
    const lines = linesOf(await exportOf(world.a, '?requests=false'))
    expect(lines.filter(({ type }) => type === 'request')).toEqual([])
    expect((await exportOf(world.a, '?requests=no')).json.code).toBe('validation_failed')
  })

  it('goes through lists of many pages without a gap or a repetition', async () => {
    const at = { project: world.b.projects[1], environment: 'live' } as const
    const record = { at: new Date(), integrationSlug: null, connection: null, key: world.b.keyId, method: 'GET', path: '/' } as const
    const rest = { status: 200, source: 'gateway', error: null, durationUs: 1, bytesIn: 0, bytesOut: 0 } as const
    const made = Array.from({ length: 1_203 }, () => ({ ...at, org: world.b.org, id: newId('req'), ...record, ...rest }))
    for (let i = 0; i < made.length; i += 300)
      await world.database.withTenant(world.b.org, (tx) => requestRecordInsertMany(tx, made.slice(i, i + 300)))
    const ids = linesOf(await exportOf(world.b)).flatMap(({ type, id, environment }) =>
      type === 'request' && environment === 'live' ? [id] : [],
    )
    expect(new Set(ids)).toEqual(new Set(made.map(({ id }) => formatId('req', id))))
    expect(ids).toHaveLength(made.length)
  })

  it('A-15 is on record as broken off when it was, and holds up nobody', async () => {
    // So that it can't be whole before its reader goes.
    const admin = new Client({ connectionString: world.adminUrl })
    await admin.connect()
    await admin.query('begin; lock table sallyport.request_record in access exclusive mode')
    const before = (await exports(world.b)).length
    const reading = get(`${world.url}${pathOf(world.b)}`, { headers: asPerson(world.b.people.OWNER) })
    reading.on('error', () => undefined)
    await expect.poll(async () => (await exports(world.b)).length, { timeout: 30_000 }).toBeGreaterThan(before)
    reading.destroy()
    // Whoever answers these has seen by then that the other is gone.
    for (let asked = 0; asked < 2; asked++) await send(world, '/healthz')
    await admin.query('rollback')
    await admin.end()
    await expect
      .poll(async () => (await exports(world.b)).slice(before), { timeout: 30_000 })
      .toMatchObject([
        ['organization.exported', {}],
        ['organization.export_ended', { complete: false }],
      ])
    expect((await exportOf(world.b, '?requests=false')).status).toBe(200)
  })

  it('T-15 is for owners alone, whatever scopes a key has', async () => {
    for (const role of ['ADMIN', 'DEVELOPER', 'BILLING', 'VIEWER'] as const)
      expect((await send(world, pathOf(world.a), { headers: asPerson(world.a.people[role]) })).json.code).toBe('forbidden')
    expect((await send(world, pathOf(world.a), { headers: asKey(world.a.key) })).json.code).toBe('forbidden')
    expect((await send(world, pathOf(world.a), { headers: asPerson(world.b.people.OWNER) })).json.code).toBe('not_found')
  })

  it('is made at most ten times an hour, whichever node is asked', async () => {
    const event = { action: 'organization.exported', actor: 'system', target: world.a.params.org, detail: {} }
    await world.database.withTenant(world.a.org, (tx) => appendAudit(tx, ...Array.from({ length: 10 }, () => event)))
    const refused = await exportOf(world.a)
    expect([refused.status, refused.json.code]).toEqual([429, 'rate_limited'])
    expect(refused.headers['retry-after']).toBeDefined()
  })
})
