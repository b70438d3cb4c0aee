/** Refreshing in real gateways: two nodes on one database, an issuer that counts, an API that says which token it was given. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { submitFirstForm } from '@sallyport/sandbox'
import { createKey } from '@sallyport/testkit'
import { eventually, LASTING, problemOf, RefreshStage, TOKEN, TURNING } from './refresh-stage.ts'
import type { Imported } from './refresh-stage.ts'

let stage: RefreshStage
beforeAll(async () => {
  stage = await RefreshStage.set(inject('postgresUrl'), {
    a: {},
    b: {},
    late: { variables: { SALLYPORT_REFRESH_BUFFER_MS: '40000' } },
  })
})
afterAll(() => stage?.close())

describe('a dead token', () => {
  it('F-06 F-08 is renewed by one token call, however many callers wait at both nodes', async () => {
    await stage.behave(TURNING, { latencyMs: { before: [200, 200], after: [100, 100] } })
    const connection = await stage.imported(-1_000)
    // As many as the shares of an organization allow side by side; the rest would be refused for that.
    const callers = Array.from({ length: 40 }, (_, i) => stage.tokenOf(connection, i % 2))
    const tokens = new Set(await Promise.all(callers))
    await stage.behave(TURNING)
    expect(tokens.size).toBe(1)
    expect(tokens.has(connection.first)).toBe(false)
    expect(await stage.showings(connection)).toMatchObject([{ outcome: 'rotated', token: 0 }])
    expect(await stage.view(connection)).toMatchObject({ health: 'active', failure: null, generation: 1 })
  })

  it('F-28 D-16 is renewed and saved although its callers have gone, every one of them', async () => {
    await stage.behave(TURNING, { latencyMs: { before: [0, 0], after: [300, 300] } })
    const connection = await stage.imported(-1_000)
    const leaving = new AbortController()
    const gone = Promise.allSettled(Array.from({ length: 40 }, (_, n) => stage.call(connection, n % 2, {}, leaving.signal)))
    await eventually(async () => (await stage.showings(connection)).length).toBe(1)
    leaving.abort()
    await gone
    await stage.behave(TURNING)
    await eventually(async () => (await stage.view(connection)).health).toBe('active')
    await stage.tokenOf(connection, 1)
    expect(await stage.showings(connection)).toHaveLength(1)
  })
})

describe('a token that is due', () => {
  it('goes out at once, and its successor takes its place on both nodes', async () => {
    const connection = await stage.imported(120_000)
    expect(await stage.tokenOf(connection)).toBe(connection.first)
    await eventually(() => stage.showings(connection)).toHaveLength(1)
    await eventually(() => stage.tokenOf(connection, 0)).not.toBe(connection.first)
    await eventually(() => stage.tokenOf(connection, 1)).not.toBe(connection.first)
    expect(await stage.tokenOf(connection, 0)).toBe(await stage.tokenOf(connection, 1))
    expect(await stage.showings(connection)).toHaveLength(1)
  })

  it('S32 is due as late as its node is told', async () => {
    const connection = await stage.imported(120_000)
    expect(await stage.tokenOf(connection, 2)).toBe(connection.first)
    expect(await stage.showings(connection)).toEqual([])
    expect(await stage.tokenOf(connection, 0)).toBe(connection.first)
    await eventually(() => stage.showings(connection)).toHaveLength(1)
  })

  it('F-11 S46 goes out while the database is gone, with a warning, and nothing is shown to the provider', async () => {
    const { gateway, wire } = stage.nodes[2]!
    const failures = (): number => gateway.output().split('not renewed beside a call').length
    // Due 7 to 15 seconds from now, and used as it is for 10 more.
    const connection = await stage.imported(55_000)
    expect(await stage.tokenOf(connection, 2)).toBe(connection.first)
    const before = failures()
    wire.cut()
    try {
      const answers = new Set<string>()
      await eventually(async () => {
        answers.add(await (await stage.call(connection, 2)).text())
        return failures()
      }).toBeGreaterThan(before)
      expect([...answers]).toEqual([connection.first])
      expect((await fetch(`${gateway.url}/readyz`)).status).toBe(503)
      // The node hears that the line is dead a moment after it is, and apart from what finds it so.
      await eventually(async () => (await stage.call(connection, 2)).headers.get('sallyport-warning')).toBe('database_unavailable')
      expect(await stage.showings(connection)).toEqual([])
    } finally {
      wire.mend()
    }
    await eventually(async () => (await stage.call(connection, 2)).headers.get('sallyport-warning')).toBe(null)
    // The next calls begin it again.
    await eventually(async () => {
      await stage.call(connection, 2)
      return await stage.showings(connection)
    }).toHaveLength(1)
  })
})

describe('a token that the provider refuses', () => {
  it('passes the 401 through, and begins one renewal for it', async () => {
    const connection = await stage.imported(3_000_000)
    stage.judge = (token) => (token === connection.first ? 401 : 200)
    try {
      const answers = await Promise.all(Array.from({ length: 10 }, () => stage.call(connection)))
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 401))
      expect(answers[0]!.headers.get('sallyport-error-source')).toBe('provider')
      await eventually(async () => (await stage.call(connection)).status).toBe(200)
      expect(await stage.showings(connection)).toHaveLength(1)
    } finally {
      stage.judge = () => 200
    }
  })
})

describe('a renewal that fails', () => {
  it('F-15 says that the grant was taken back, once in the log, and gives the way to a new one, the same to all', async () => {
    const connection = await stage.imported(-1_000)
    await stage.issuer.revoke(connection.grant.grant)
    const refused = await Promise.all(Array.from({ length: 6 }, (_, i) => stage.call(connection, i % 2)))
    for (const response of refused) {
      expect(response.status).toBe(409)
      expect(response.headers.get('sallyport-error-source')).toBe('gateway')
    }
    const problem = await problemOf(refused[0]!)
    expect(problem).toMatchObject({ code: 'reconnect_required', trouble: 'grant_expired', connection: connection.id })
    expect(problem.reconnect?.link).toContain('/connect/')
    expect(await stage.showings(connection)).toHaveLength(1)
    expect(await stage.view(connection)).toMatchObject({
      status: 'reconnect_required',
      health: 'reconnect_required',
      failure: { code: 'reconnect_required', trouble: 'grant_expired', attempts: 1, retry_at: null },
    })
    expect((await stage.eventsOf(connection)).filter((action) => action === 'connection.reconnect_required')).toHaveLength(1)
    const links = await Promise.all([problemOf(await stage.call(connection)), problemOf(await stage.call(connection))])
    expect(new Set([problem, ...links].map(({ reconnect }) => reconnect?.link)).size).toBe(1)
  })

  it('names the place to make a link where the key may not make one itself', async () => {
    const connection = await stage.imported(-1_000)
    await stage.issuer.revoke(connection.grant.grant)
    const plain = await createKey(stage.owner, ['proxy:call'])
    const problem = await problemOf(await stage.call(connection, 0, { authorization: `Bearer ${plain}` }))
    expect(problem.reconnect).toEqual({
      endpoint: expect.stringMatching(/^\/api\/v1\/orgs\/org_\w+\/projects\/proj_\w+\/test\/connect-sessions$/u) as string,
    })
  })

  it('F-17 waits as long as the provider says, and works again by itself', async () => {
    const connection = await stage.imported(-1_000)
    await stage.issuer.next(TURNING.client, ['before_429'])
    const response = await stage.call(connection)
    expect(response.status).toBe(503)
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(await problemOf(response)).toMatchObject({ code: 'provider_rate_limited', trouble: 'rate_limited' })
    expect(await stage.view(connection)).toMatchObject({
      status: 'active',
      health: 'degraded',
      failure: { trouble: 'rate_limited', attempts: 1 },
    })
    await eventually(async () => (await stage.call(connection)).status).toBe(200)
    expect(await stage.view(connection)).toMatchObject({ health: 'active', failure: null })
    expect(await stage.showings(connection)).toHaveLength(2)
    await eventually(() => stage.eventsOf(connection)).toEqual(
      expect.arrayContaining(['connection.refresh_failed', 'connection.recovered']),
    )
  })
})

/** Consents anew in the console, as the owner. */
async function reconnect(connection: Imported): Promise<string> {
  const { client, browser, place } = stage.owner
  const { integration, end_user_id } = await stage.view(connection)
  const { session, link } = await client.call('connectSessionCreate', {
    params: place,
    body: { integration, end_user_id, connection: connection.id },
  })
  const sentBack = await fetch(await submitFirstForm(browser, link), { redirect: 'manual' })
  await browser(sentBack.headers.get('location')!)
  return (await client.call('connectSessionGet', { params: { ...place, session: session.id } })).status
}

describe('a reconnect', () => {
  it('after the end brings the same connection back in a new generation, on both nodes', async () => {
    const connection = await stage.imported(-1_000, TURNING, false)
    await stage.issuer.revoke(connection.grant.grant)
    const { reconnect: way } = await problemOf(await stage.call(connection))
    expect((await fetch(way!.link!)).status).toBe(200)
    expect(await reconnect(connection)).toBe('completed')
    expect(await stage.view(connection)).toMatchObject({
      id: connection.id,
      status: 'active',
      health: 'active',
      failure: null,
      generation: 2,
    })
    await eventually(async () => (await stage.call(connection, 1)).status).toBe(200)
    expect(await stage.tokenOf(connection, 0)).toBe(await stage.tokenOf(connection, 1))
  })

  it('V-06 during a refresh wins: what the refresh brings is not kept, and is handed on to be revoked', async () => {
    const connection = await stage.imported(-1_000, TURNING, false)
    await stage.behave(TURNING, { latencyMs: { before: [0, 0], after: [1_500, 1_500] } })
    const waiting = stage.call(connection, 1)
    await eventually(async () => (await stage.showings(connection)).length).toBe(1)
    await stage.behave(TURNING)
    expect(await reconnect(connection)).toBe('completed')
    const fresh = await stage.tokenOf(connection)
    await waiting
    await eventually(() => stage.eventsOf(connection)).toContain('connection.token_orphaned')
    expect(await stage.view(connection)).toMatchObject({ status: 'active', health: 'active', generation: 2 })
    expect(await stage.tokenOf(connection, 1)).toBe(fresh)
  })
})

describe('by hand', () => {
  it('POST refresh renews a token with life in it, and says who asked', async () => {
    const connection = await stage.imported(3_000_000)
    const renewed = await stage.owner.client.call('connectionRefresh', { params: { ...stage.owner.place, connection: connection.id } })
    expect(renewed).toMatchObject({ health: 'active', failure: null })
    expect(await stage.tokenOf(connection)).not.toBe(connection.first)
    await expect
      .poll(() => stage.eventsOf(connection))
      .toEqual(expect.arrayContaining(['connection.refresh_requested', 'connection.refreshed']))
  })

  it('tells what fails with the code that a call would meet', async () => {
    const connection = await stage.imported(3_000_000)
    await stage.issuer.revoke(connection.grant.grant)
    const attempt = stage.owner.client.call('connectionRefresh', { params: { ...stage.owner.place, connection: connection.id } })
    await expect(attempt).rejects.toMatchObject({ status: 409, code: 'reconnect_required' })
  })
})

describe('a refresh that is interrupted', () => {
  it('F-12 is saved by the node that has the answer, once the database is back', async () => {
    await stage.behave(TURNING, { latencyMs: { before: [0, 0], after: [600, 600] } })
    const connection = await stage.imported(-1_000)
    const [node, other] = [stage.nodes[0]!, stage.nodes[1]!]
    const asked = stage.call(connection).then(({ status }) => status)
    await eventually(async () => (await stage.showings(connection)).length).toBe(1)
    for (const { wire } of stage.nodes) wire.cut()
    expect([200, 503]).toContain(await asked)
    expect((await fetch(`${node.gateway.url}/readyz`)).status).toBe(503)
    // What came back waits on disk, too, sealed.
    const spill = join(node.gateway.dataDir, 'spill')
    await eventually(() => readdir(spill)).toEqual([expect.stringMatching(/\.answer$/u)])
    const [file] = await readdir(spill)
    expect(await readFile(join(spill, file!), 'utf8')).not.toMatch(TOKEN)
    node.wire.mend()
    await stage.behave(TURNING)
    const ready = async () => (await fetch(`${node.gateway.url}/readyz`)).status
    await eventually(ready).toBe(200)
    await eventually(() => readdir(spill)).toEqual([])
    other.wire.mend()
    await eventually(async () => (await stage.view(connection)).health).toBe('active')
    await eventually(async () => (await stage.call(connection, 1)).status).toBe(200)
    expect(await stage.tokenOf(connection, 1)).not.toBe(connection.first)
    expect(await stage.showings(connection)).toMatchObject([{ outcome: 'rotated' }])
  })

  it('F-13 is taken up by the other node when its own was killed', async () => {
    await stage.behave(LASTING, { latencyMs: { before: [1_500, 1_500], after: [0, 0] } })
    const connection = await stage.imported(-1_000, LASTING)
    const lost = stage.call(connection, 1).catch(() => undefined)
    await eventually(async () => (await stage.showings(connection)).length).toBe(1)
    expect((await stage.view(connection)).health).toBe('refreshing')
    await stage.behave(LASTING)
    await stage.nodes[1]!.gateway.kill()
    const began = performance.now()
    await lost
    await eventually(async () => (await stage.view(connection)).health).toBe('active')
    console.info(`resolved ${Math.round(performance.now() - began)} ms after the kill`)
    expect((await stage.showings(connection)).at(-1)!.node).toBe('a')
    await stage.nodes[1]!.wire.close()
    stage.nodes[1] = await stage.startNode('b')
    expect(await stage.tokenOf(connection, 1)).toBe(await stage.tokenOf(connection, 0))
  })
})

it('L-08 leaves no token in anything that was printed', () => {
  const output = stage.nodes.map(({ gateway }) => gateway.output()).join('')
  expect(output).not.toMatch(TOKEN)
})
