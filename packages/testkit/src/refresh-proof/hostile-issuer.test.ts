import { afterEach, describe, expect, it } from 'vitest'
import { ANSWER_FAULT_NAMES, ANSWER_FAULTS } from './answer-faults.ts'
import type { AnswerFaultName } from './answer-faults.ts'
import { CALM, clientSecretOf, startHostileIssuer } from './hostile-issuer.ts'
import type { IssuerControl } from './hostile-issuer.ts'
import { startIssuerProcess } from './hostile-issuer-process.ts'
import type { IssuerProfile } from './history.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function started(profile: IssuerProfile = { kind: 'strict' }, start = startHostileIssuer): Promise<IssuerControl> {
  const issuer = await start('a seed')
  cleanups.push(() => issuer.close())
  await issuer.setClient('app', { ...CALM, profile, slowMs: 5 })
  return issuer
}

function show(issuer: IssuerControl, refreshToken: string, node = 'a', signal?: AbortSignal): Promise<Response> {
  const body = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: 'app',
    client_secret: clientSecretOf('app'),
  })
  return fetch(`${issuer.origin}/at/${node}/token`, { method: 'POST', body, ...(signal === undefined ? {} : { signal }) })
}

/** Status and body of what came, or that nothing whole came. */
async function got(response: Promise<Response>): Promise<readonly [number, string] | 'nothing'> {
  return await response.then(async (whole) => [whole.status, await whole.text()] as const).catch(() => 'nothing')
}

/** The issuer hears of a closed connection when the machine finds time for it. */
const LATE = { timeout: 10_000 }

const RUINED: Partial<Record<AnswerFaultName, RegExp | 'nothing'>> = {
  before_silence: 'nothing',
  before_reset: 'nothing',
  after_silence: 'nothing',
  after_reset: 'nothing',
  after_truncated: 'nothing',
}

describe('the hostile issuer', () => {
  it('rotates, names the successor, and writes down who showed what', async () => {
    const issuer = await started()
    const { grant, refreshToken } = await issuer.grant('app')
    const body = (await (await show(issuer, refreshToken, 'b')).json()) as Record<string, unknown>
    expect(body).toMatchObject({ token_type: 'Bearer', expires_in: 3600 })
    expect(body['refresh_token']).toMatch(new RegExp(`^rt\\.${grant}\\.1\\.`, 'u'))
    await expect
      .poll(async () => (await issuer.journal()).showings, LATE)
      .toMatchObject([{ node: 'b', grant, token: 0, outcome: 'rotated', successor: 1, told: 'tokens', delivered: true }])
  })

  it.each(ANSWER_FAULT_NAMES)('F-17 F-19 plays %s, and its journal says whether the token was spent', async (fault) => {
    const issuer = await started()
    const { refreshToken } = await issuer.grant('app')
    await issuer.next('app', [fault])
    const patience = new AbortController()
    const answering = got(show(issuer, refreshToken, 'a', patience.signal))
    const row = ANSWER_FAULTS[fault]
    if (fault.endsWith('silence')) {
      await expect.poll(async () => (await issuer.journal()).showings[0]?.outcome, LATE).toBe(row.commits ? 'rotated' : 'untouched')
      patience.abort()
    }
    const answer = await answering
    expect(answer === 'nothing').toBe(RUINED[fault] === 'nothing')
    await expect.poll(async () => (await issuer.journal()).showings[0]?.doneAt ?? null, LATE).not.toBeNull()
    const { showings, grants } = await issuer.journal()
    expect(showings[0]).toMatchObject({ fault, told: row.told, outcome: row.commits ? (row.rotates ? 'rotated' : 'kept') : 'untouched' })
    expect(grants[0]!.live).toEqual([row.commits && row.rotates ? 1 : 0])
  })

  it('repeats its chances from the seed', async () => {
    const played = async (): Promise<unknown[]> => {
      const issuer = await started({ kind: 'none' })
      const faults = [
        ['before_429', 1],
        ['after_html', 1],
        ['no_scope', 2],
      ] as const
      await issuer.setClient('app', { ...CALM, profile: { kind: 'none' }, faultRate: 0.5, faults })
      const { refreshToken } = await issuer.grant('app')
      for (let at = 0; at < 30; at++) await got(show(issuer, refreshToken))
      return (await issuer.journal()).showings.map(({ fault }) => fault)
    }
    const once = await played()
    expect(new Set(once).size).toBe(4)
    expect(await played()).toEqual(once)
  })

  it('refuses wrong clients and tokens it never gave, and keeps them out of the journal', async () => {
    const issuer = await started()
    const { refreshToken } = await issuer.grant('app')
    expect((await show(issuer, `${refreshToken}x`)).status).toBe(400)
    const wrong = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: 'app',
      client_secret: 'wrong',
    })
    expect((await fetch(`${issuer.origin}/at/a/token`, { method: 'POST', body: wrong })).status).toBe(401)
    expect((await issuer.journal()).showings).toEqual([])
  })

  it('connects an account with a code, once', async () => {
    const issuer = await started()
    const asked = new URLSearchParams({ client_id: 'app', redirect_uri: 'http://127.0.0.1:1/cb', state: 's', response_type: 'code' })
    const sent = await fetch(`${issuer.origin}/authorize?${asked.toString()}`, { redirect: 'manual' })
    const back = new URL(sent.headers.get('location')!)
    expect(back.searchParams.get('state')).toBe('s')
    const body = new URLSearchParams({
      grant_type: 'authorization_code',
      code: back.searchParams.get('code')!,
      redirect_uri: 'http://127.0.0.1:1/cb',
      client_id: 'app',
      client_secret: clientSecretOf('app'),
    })
    const exchange = (): Promise<Response> => fetch(`${issuer.origin}/at/a/token`, { method: 'POST', body })
    const tokens = (await (await exchange()).json()) as { access_token: string; refresh_token: string }
    expect((await exchange()).status).toBe(400)
    const user = await fetch(`${issuer.origin}/user`, { headers: { authorization: `Bearer ${tokens.access_token}` } })
    expect(await user.json()).toEqual({ id: tokens.refresh_token.split('.')[1], login: tokens.refresh_token.split('.')[1] })
  })

  it('runs as a process of its own behind the same interface', async () => {
    const issuer = await started({ kind: 'grace', seconds: 10, again: 'another' }, startIssuerProcess)
    const { grant, refreshToken } = await issuer.grant('app')
    await issuer.next('app', ['after_html'])
    expect(await got(show(issuer, refreshToken))).toEqual([200, expect.stringContaining('html')])
    await show(issuer, refreshToken)
    const { showings, grants } = await issuer.journal()
    expect(showings.map(({ outcome, successor }) => [outcome, successor])).toEqual([
      ['rotated', 1],
      ['again', 2],
    ])
    expect(grants).toMatchObject([{ id: grant, live: [0, 2] }])
    expect(await issuer.revoke(grant)).toBe(true)
    expect((await issuer.journal(2)).showings).toEqual([])
  })
})
