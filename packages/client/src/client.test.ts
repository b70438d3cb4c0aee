import { describe, expect, it } from 'vitest'
import { createClient } from './client.ts'
import type { ClientOptions } from './client.ts'
import { inEnvironment } from './environment.ts'

const org = `org_${'0'.repeat(21)}1`
const at = { org, project: `proj_${'0'.repeat(21)}1`, environment: 'test' as const }
const project = { id: at.project, name: 'p', return_origins: [], archived_at: null, created_at: '2026-01-01T00:00:00.000Z' }

/** A client over answers given one after another, and what it asked for. */
function scripted(answers: readonly Response[], options: Partial<ClientOptions> = {}) {
  const asked: { url: URL; init: RequestInit & { headers: Headers } }[] = []
  const rest = [...answers]
  const fetch = async (url: unknown, init: unknown) => {
    asked.push({ url: new URL(String(url)), init: init as RequestInit & { headers: Headers } })
    return rest.shift() ?? expect.unreachable('no answer is left')
  }
  return { client: createClient({ baseUrl: 'https://gateway.test/below', fetch, ...options }), asked }
}

describe('the client', () => {
  it('sends a key as bearer and then no cookies, and without a key the cookies of its own origin', async () => {
    const page = () => Response.json({ data: [], next_cursor: null })
    const withKey = scripted([page()], { key: 'k' })
    await withKey.client.call('projectList', { params: { org } })
    expect(withKey.asked[0]!.init.headers.get('authorization')).toBe('Bearer k')
    expect(withKey.asked[0]!.init).toMatchObject({ method: 'GET', credentials: 'omit', redirect: 'error' })
    const withSession = scripted([page()])
    await withSession.client.call('projectList', { params: { org } })
    expect(withSession.asked[0]!.init.headers.get('authorization')).toBeNull()
    expect(withSession.asked[0]!.init.credentials).toBe('same-origin')
  })

  it('sends the Idempotency-Key that it was given, and none by itself', async () => {
    const made = () => Response.json(project, { status: 201 })
    const { client, asked } = scripted([made(), made()])
    const input = { params: { org }, body: { name: 'p' } }
    await client.call('projectCreate', input, { idempotencyKey: 'a-key' })
    await client.call('projectCreate', input)
    expect(asked.map(({ init }) => init.headers.get('idempotency-key'))).toEqual(['a-key', null])
  })

  it('builds the address from the contract, on the origin it was given', async () => {
    const { client, asked } = scripted([Response.json({ data: [], next_cursor: null })])
    await client.call('connectionList', { params: at, query: { end_user_id: 'a b&c/..', limit: 5 } })
    const { url } = asked[0]!
    expect(url.origin + url.pathname).toBe(`https://gateway.test/api/v1/orgs/${org}/projects/${at.project}/test/connections`)
    expect(Object.fromEntries(url.searchParams)).toEqual({ end_user_id: 'a b&c/..', limit: '5' })
  })

  it('walks pages as they are wanted, and keeps the query', async () => {
    const { client, asked } = scripted([
      Response.json({ data: [project, project], next_cursor: 'next' }),
      Response.json({ data: [project], next_cursor: null }),
    ])
    const rows = client.pages('projectList', { params: { org }, query: { limit: 2 } })
    await rows.next()
    await rows.next()
    expect(asked).toHaveLength(1)
    expect((await rows.next()).value).toEqual(project)
    expect((await rows.next()).done).toBe(true)
    expect(asked.map(({ url }) => url.search)).toEqual(['?limit=2', '?limit=2&cursor=next'])
  })

  it('gives a problem as an error with its code, faults and waiting time', async () => {
    const problem = {
      type: 'urn:sallyport:problem:overloaded',
      title: 'Overloaded',
      status: 503,
      detail: 'Wait.',
      instance: 'urn:x',
      code: 'overloaded',
      errors: [{ pointer: '/body', reason: 'r' }],
    }
    const headers = { 'retry-after': '7', 'sallyport-request-id': 'req_1' }
    const { client } = scripted([Response.json(problem, { status: 503, headers })])
    await expect(client.call('whoami')).rejects.toMatchObject({
      name: 'SallyportApiError',
      code: 'overloaded',
      status: 503,
      detail: 'Wait.',
      errors: problem.errors,
      requestId: 'req_1',
      retryAfterS: 7,
    })
  })

  it.each([
    ['a success that is no JSON', new Response('<html>')],
    ['a success of another shape', Response.json({ id: 1 })],
    ['a failure that is no problem', new Response('Bad gateway', { status: 502 })],
    [
      'a problem with a code that nobody knows',
      Response.json({ type: 'urn:x', title: 't', status: 400, instance: 'i', code: 'new' }, { status: 400 }),
    ],
  ])('takes %s for no answer of the gateway', async (_what, answer) => {
    await expect(scripted([answer]).client.call('whoami')).rejects.toMatchObject({ name: 'SallyportAnswerError' })
  })

  it('fills in the ids of an environment', async () => {
    const key = {
      id: `key_${'0'.repeat(22)}`,
      name: 'n',
      scopes: ['proxy:call'],
      connection: null,
      allowed_addresses: null,
      allowed_origins: null,
      sender: null,
      created_by: 'system',
      succeeds: null,
      created_at: project.created_at,
      expires_at: null,
      revoked_at: null,
      last_used_at: null,
    }
    const { client, asked } = scripted([Response.json({ key, secret: 'shown once' }, { status: 201 }), Response.json(key)])
    const { keys } = inEnvironment(client, at)
    expect((await keys.create({ name: 'n', scopes: ['proxy:call'] })).secret).toBe('shown once')
    await keys.revoke(key.id)
    expect(asked.map(({ url, init }) => `${init.method} ${url.pathname.split('/test/')[1]}`)).toEqual([
      'POST keys',
      `POST keys/${key.id}/revoke`,
    ])
  })

  // The guard is the compiler: each expectation below fails the type check when the error it expects is gone.
  it('does not compile with a part that the operation lacks, or without one that it needs', () => {
    const { client } = scripted([])
    const wrong = [
      // @ts-expect-error -- there is no such operation
      () => client.call('nothing'),
      // @ts-expect-error -- params are needed
      () => client.call('projectGet'),
      // @ts-expect-error -- whoami takes no body
      () => client.call('whoami', { body: {} }),
      // @ts-expect-error -- one project is no list
      () => client.pages('projectGet', { params: at }),
      // @ts-expect-error -- no such scope
      () => client.call('keyCreate', { params: at, body: { name: 'n', scopes: ['everything'] } }),
    ]
    expect(wrong).toHaveLength(5)
  })
})
