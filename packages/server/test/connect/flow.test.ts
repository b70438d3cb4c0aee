import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { formatId, parseId, readTokenSet, Secret } from '@sallyport/core'
import { startIssuer } from '../../../testkit/src/issuer/index.ts'
import type { Issuer, IssuerBehaviour } from '../../../testkit/src/issuer/index.ts'
import { credentialPlace } from '../../src/vault/index.ts'
import { credentialHead } from '../../src/db/index.ts'
import { APP, Browser, createGateway, formTokenOf, PUBLIC_URL, withParameter } from './harness.ts'
import type { Gateway } from './harness.ts'

let issuer: Issuer
let other: Issuer
let gateway: Gateway
let context: string
let otherContext: string

beforeAll(async () => {
  ;[issuer, other] = await Promise.all([startIssuer(), startIssuer()])
  gateway = await createGateway(inject('postgresUrl'), {
    overlays: { github: issuer.endpoints, google: { ...other.endpoints } },
    insecureAllowOrigins: [issuer.origin, other.origin],
    // These issuers advertise `iss`; the other's account look-up differs from the record's.
    change: (provider) => ({
      ...provider,
      oauth: { ...provider.oauth, responseIssuer: 'required' },
      userinfo: { ...provider.userinfo, idPath: ['id'], labelPath: ['login'] },
    }),
    nodes: 3,
    projectName: 'Example <App>',
  })
  context = (await gateway.register('github', 'github', issuer)).context
  otherContext = (await gateway.register('google', 'google', other)).context
})
beforeEach(() => {
  issuer.behave()
  other.behave()
})
afterAll(async () => {
  await gateway.close()
  await Promise.all([issuer.close(), other.close()])
})

describe('the hosted page', () => {
  it('names the application, the provider and the scopes, and starts nothing by being read', async () => {
    const { session, link } = await gateway.begin()
    const browser = new Browser(gateway.nodes[0])
    const [first, second] = [await browser.get(link), await new Browser(gateway.nodes[0]).get(link)]
    expect([first.status, second.status]).toEqual([200, 200])
    expect(first.text).toContain('Example &lt;App&gt; asks to connect your GitHub account')
    expect(first.text).toContain('<code>repo</code>')
    expect(await statusOf(session.id)).toMatchObject({ status: 'open', states: 0 })
  })

  it('is never cached, framed, scripted or named in a referrer', async () => {
    const { headers } = await new Browser(gateway.nodes[0]).get((await gateway.begin()).link)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('content-security-policy')).toContain(`form-action 'self' ${issuer.origin} ${APP};`)
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.getSetCookie().join()).toMatch(/^sallyport_connect=[\w-]{43}; Path=\/; Max-Age=1200; HttpOnly; SameSite=Lax$/u)
  })

  it.each([
    ['without the page', async (link: string) => new Browser(gateway.nodes[0]).post(link, {})],
    [
      'with a token but without the cookie',
      async (link: string) =>
        new Browser(gateway.nodes[0]).post(link, { form_token: formTokenOf((await new Browser(gateway.nodes[0]).get(link)).text) }),
    ],
    [
      "with another browser's token",
      async (link: string) => {
        const browser = new Browser(gateway.nodes[0])
        await browser.get(link)
        return browser.post(link, { form_token: formTokenOf((await new Browser(gateway.nodes[0]).get(link)).text) })
      },
    ],
    [
      "with another link's token",
      async (link: string) => {
        const browser = new Browser(gateway.nodes[0])
        await browser.get(link)
        return browser.post(link, { form_token: formTokenOf((await browser.get((await gateway.begin()).link)).text) })
      },
    ],
    [
      'from another origin',
      async (link: string) => {
        const browser = new Browser(gateway.nodes[0])
        return browser.post(link, { form_token: formTokenOf((await browser.get(link)).text) }, { origin: 'https://evil.test' })
      },
    ],
    [
      'from another site',
      async (link: string) => {
        const browser = new Browser(gateway.nodes[0])
        return browser.post(
          link,
          { form_token: formTokenOf((await browser.get(link)).text) },
          { origin: 'null', 'sec-fetch-site': 'cross-site' },
        )
      },
    ],
    [
      'with the cookie twice',
      async (link: string) => {
        const browser = new Browser(gateway.nodes[0])
        const page = await browser.get(link)
        return browser.post(
          link,
          { form_token: formTokenOf(page.text) },
          { cookie: `${page.headers.getSetCookie()[0]!.split(';')[0]!}; sallyport_connect=${'A'.repeat(43)}` },
        )
      },
    ],
  ])('J-20 takes no form %s', async (_what, attempt) => {
    const { session, link } = await gateway.begin()
    const visit = await attempt(link)
    expect(visit.status).toBe(403)
    expect(visit.text).toContain('cross_site_refused')
    expect(await statusOf(session.id)).toMatchObject({ status: 'open', states: 0 })
  })

  it('takes the form of a no-referrer page, which says Origin: null', async () => {
    const { link } = await gateway.begin()
    const browser = new Browser(gateway.nodes[0])
    const visit = await browser.post(
      link,
      { form_token: formTokenOf((await browser.get(link)).text) },
      { origin: 'null', 'sec-fetch-site': 'same-origin' },
    )
    expect(visit.status).toBe(303)
  })

  it.each(['unknown', 'A'.repeat(43), '..%2f..%2f', '%00', 'a'.repeat(99)])(
    'says the same of every link it does not know: %s',
    async (token) => {
      const visit = await new Browser(gateway.nodes[0]).get(`${PUBLIC_URL}/connect/${token}`)
      expect(visit.status).toBe(410)
      expect(visit.text).toContain('connect_session_invalid')
    },
  )

  it('is over when the link is expired', async () => {
    const { session, link } = await gateway.begin()
    await gateway.rows("update sallyport.connect_session set expires_at = now() - interval '1 second' where id = $1", [
      uuid('cs', session.id),
    ])
    expect((await new Browser(gateway.nodes[0]).get(link)).status).toBe(410)
  })

  it('takes nothing but a form', async () => {
    const { link } = await gateway.begin()
    const visit = await fetch(link.replace(PUBLIC_URL, gateway.nodes[0].origin), {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    })
    expect(visit.status).toBe(415)
  })
})

describe('a connect flow', () => {
  it('brings the browser back with a code, and the connection into use when the application confirms', async () => {
    const { session, link } = await gateway.begin()
    const visit = await finish(link)
    expect(visit.status).toBe(303)
    const back = new URL(visit.location!)
    expect(back.origin + back.pathname + back.searchParams.get('keep')).toBe(`${APP}/done1`)
    expect(back.searchParams.get('connect_session')).toBe(session.id)
    expect(await connectionsOf(session.id)).toEqual([
      expect.objectContaining({ status: 'pending', generation: 1, account_id: '4711', account_label: 'grace', granted_scopes: ['repo'] }),
    ])

    const made = await complete(session.id, back.searchParams.get('connect_code')!)
    expect(made).toMatchObject({
      status: 'active',
      generation: 1,
      headSeq: 1n,
      endUserId: 'user-1',
      account: { id: '4711', label: 'grace' },
      integrationSlug: 'github',
    })
    expect(made.tokenExpiresAt!.getTime()).toBeGreaterThan(Date.now())
    expect(await gateway.connect.getSession(gateway.key, gateway.place, uuid('cs', session.id))).toMatchObject({
      status: 'completed',
      connection: formatId('conn', made.id),
      failure: null,
    })
    expect(await tokenOf(made.id)).toBe(issuer.tokens.at(-1))
  })

  it('A-06 leaves one event for each step, in order, with its actor and target', async () => {
    const before = (await gateway.actions()).length
    const { session, link } = await gateway.begin()
    const back = new URL((await finish(link)).location!)
    await complete(session.id, back.searchParams.get('connect_code')!)
    expect((await gateway.actions()).slice(before)).toEqual([
      'connect_session.created',
      'connect_session.authorizing',
      'connection.authorized',
      'connection.created',
    ])
    const [event] = await gateway.rows<{ actor: string; target: string }>(
      'select actor, target from sallyport.audit_event order by seq desc limit 1',
    )
    expect(event).toEqual({
      actor: formatId('key', gateway.key.keyId),
      target: formatId('conn', uuid('conn', session.id.replace('cs_', 'conn_'))),
    })
  })

  it('shows the code on a page when there is no address to return to', async () => {
    const { session, link } = await gateway.begin({ returnTo: undefined })
    const visit = await finish(link)
    expect(visit.status).toBe(200)
    const code = /<code class="code">(?<code>[\w-]{43})<\/code>/u.exec(visit.text)!.groups!['code']!
    expect(await complete(session.id, code)).toMatchObject({ status: 'active' })
  })

  it('stores no link, state, verifier, code, completion code or token in the clear', async () => {
    const { session, link } = await gateway.begin()
    const browser = new Browser(gateway.nodes[0])
    const away = await browser.leave(link)
    const duringFlow = await dump()
    const callback = (await browser.get(away)).location!
    const back = new URL((await browser.get(callback)).location!)
    await complete(session.id, back.searchParams.get('connect_code')!)
    const form = issuer.exchanges.at(-1)!
    const secrets = [
      link.split('/').at(-1)!,
      new URL(away).searchParams.get('state')!,
      form.get('code_verifier')!,
      form.get('code')!,
      back.searchParams.get('connect_code')!,
      issuer.tokens.at(-1)!,
      issuer.clientSecret,
    ]
    const texts = `${duringFlow}\n${await dump()}\n${gateway.log.join('\n')}`
    for (const secret of secrets) {
      expect(texts).not.toContain(secret)
      expect(texts).not.toContain(Buffer.from(secret).toString('hex'))
    }
  })

  it('O-09 begins on one node and ends on another', async () => {
    const [first, second, third] = gateway.nodes as readonly [
      (typeof gateway.nodes)[0],
      (typeof gateway.nodes)[0],
      (typeof gateway.nodes)[0],
    ]
    const { session, link } = await gateway.begin()
    const browser = new Browser(first)
    const page = await browser.get(link)
    const away = await browser.moveTo(second).post(link, { form_token: formTokenOf(page.text) })
    const callback = (await browser.get(away.location!)).location!
    const back = new URL((await browser.moveTo(third).get(callback)).location!)
    const confirmation = { code: new Secret(back.searchParams.get('connect_code')!), endUserId: 'user-1' }
    expect(await second.connect.complete(gateway.key, gateway.place, uuid('cs', session.id), confirmation)).toMatchObject({
      status: 'active',
    })
  })

  it('O-14 sends a fresh S256 challenge every time, also when it is begun again', async () => {
    const { link } = await gateway.begin()
    const browser = new Browser(gateway.nodes[0])
    const [first, second] = [await browser.leave(link), await browser.leave(link)].map((url) => new URL(url).searchParams)
    expect(first!.get('code_challenge_method')).toBe('S256')
    expect(first!.get('code_challenge')).not.toBe(second!.get('code_challenge'))
    expect(first!.get('redirect_uri')).toBe(`${PUBLIC_URL}/oauth/cb/${context}`)
  })

  it('answers only the newest of several authorizations of one session', async () => {
    const { session, link } = await gateway.begin()
    const browser = new Browser(gateway.nodes[0])
    const older = await browser.authorize(link)
    const newer = await browser.authorize(link)
    expect((await browser.get(older)).status).toBe(400)
    expect((await browser.get(newer)).status).toBe(303)
    expect(await statusOf(session.id)).toMatchObject({ status: 'awaiting_confirmation' })
  })
})

describe('a callback', () => {
  it.each([
    ['without a state', (url: string) => withParameter(url, 'state', null)],
    ['with a state of nobody', (url: string) => withParameter(url, 'state', 'A'.repeat(43))],
    ['with a malformed state', (url: string) => withParameter(url, 'state', "' or 1=1 --")],
    ['with two states', (url: string) => `${url}&state=${'A'.repeat(43)}`],
  ])('O-01 %s makes no token call', async (_what, forge) => {
    const { callback, browser } = await authorized()
    await refusedWith(await browser.get(forge(callback)), 400, 'connect_state_invalid')
  })

  it('O-02 in another browser is refused before the exchange, and cannot be repeated in the right one', async () => {
    const { callback, browser, session } = await authorized()
    await refusedWith(await new Browser(gateway.nodes[0]).get(callback), 403, 'connect_browser_mismatch')
    await refusedWith(await browser.get(callback), 400, 'connect_state_invalid')
    // It was not the session's own answer: its rightful browser may begin again.
    expect(await statusOf(session)).toMatchObject({ status: 'authorizing' })
  })

  it("O-02 with a victim's cookie of another flow is refused", async () => {
    const { callback } = await authorized()
    const victim = new Browser(gateway.nodes[0])
    await victim.get((await gateway.begin()).link)
    await refusedWith(await victim.get(callback), 403, 'connect_browser_mismatch')
  })

  it('O-04 repeated is refused', async () => {
    const { callback, browser } = await authorized()
    expect((await browser.get(callback)).status).toBe(303)
    await refusedWith(await browser.get(callback), 400, 'connect_state_invalid', 1)
  })

  it('O-04 sent twenty times at once, over three nodes, makes exactly one exchange and one connection', async () => {
    const { session, callback, browser } = await authorized()
    const exchanges = issuer.exchanges.length
    const cookie = browser.cookieHeader()
    const visits = await Promise.all(Array.from({ length: 20 }, (_, index) => new Browser(gateway.nodes[index % 3]!, cookie).get(callback)))
    expect(visits.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([303, ...Array.from({ length: 19 }, () => 400)])
    expect(issuer.exchanges.length - exchanges).toBe(1)
    expect(await connectionsOf(session)).toHaveLength(1)
  })

  it("O-06 at another integration's address is refused, and the code goes nowhere", async () => {
    const { callback, browser, session } = await authorized()
    const [mine, theirs] = [issuer.exchanges.length, other.exchanges.length]
    const visit = await browser.get(callback.replace(context, otherContext))
    await refusedWith(visit, 400, 'connect_state_invalid')
    expect([issuer.exchanges.length, other.exchanges.length]).toEqual([mine, theirs])
    expect(await statusOf(session)).toMatchObject({ status: 'authorizing', states: 0 })
  })

  it.each(['wrong', 'absent', 'twice'] as const)('O-07 with an issuer that is %s is refused before the exchange', async (iss) => {
    issuer.behave({ iss })
    const { callback, browser, session } = await authorized()
    await refusedWith(await browser.get(callback), 400, 'connect_issuer_mismatch')
    expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'connect_issuer_mismatch' })
  })

  it('O-08 at an address that is no integration is refused', async () => {
    const { callback, browser } = await authorized()
    await refusedWith(await browser.get(callback.replace(context, 'unknown-context-of-nobody')), 400, 'connect_state_invalid')
  })

  it('O-15 of a state that is over is refused', async () => {
    const { callback, browser } = await authorized()
    await gateway.rows("update sallyport.oauth_state set expires_at = now() - interval '1 second'")
    await refusedWith(await browser.get(callback), 400, 'connect_state_invalid')
  })

  it.each([
    ['two_codes', 'connect_state_invalid'],
    ['neither', 'connect_state_invalid'],
    ['code_and_error', 'connect_denied'],
    ['two_states', 'connect_state_invalid'],
  ] as const)('with %s is refused before the exchange', async (answer, code) => {
    issuer.behave({ answer })
    const { callback, browser } = await authorized()
    await refusedWith(await browser.get(callback), code === 'connect_denied' ? 403 : 400, code)
  })

  it('O-20 that was denied says so, shows no text of the provider, and leads back', async () => {
    issuer.behave({ answer: { error: 'access_denied', description: '<script>alert(1)</script> canary-text' } })
    const { callback, browser, session } = await authorized()
    const visit = await browser.get(callback)
    await refusedWith(visit, 403, 'connect_denied')
    expect(visit.text).not.toMatch(/<script|canary-text/u)
    expect(visit.text).toContain(`href="${APP}/done?keep=1&amp;connect_session=${session}&amp;connect_error=connect_denied"`)
    expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'connect_denied' })
    expect(gateway.log.join('\n')).not.toContain('canary-text')
  })

  it('O-20 is a problem where JSON is asked for', async () => {
    issuer.behave({ answer: { error: 'access_denied', description: '<b>' } })
    const { callback, browser } = await authorized()
    const visit = await browser.get(callback, { accept: 'application/json' })
    expect(visit.headers.get('content-type')).toContain('application/problem+json')
    expect(JSON.parse(visit.text)).toMatchObject({ code: 'connect_denied', status: 403 })
    expect(visit.text).not.toContain('<b>')
  })

  it('for a session that has ended otherwise makes no token call', async () => {
    const { callback, browser, session } = await authorized()
    await gateway.rows("update sallyport.connect_session set status = 'failed', failure = 'connect_denied' where id = $1", [
      uuid('cs', session),
    ])
    await refusedWith(await browser.get(callback), 410, 'connect_session_invalid')
    expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'connect_denied' })
  })

  it('of a session that ends while the provider is asked stores nothing', async () => {
    const { callback, browser, session } = await authorized()
    issuer.behave({
      meanwhile: async () => {
        await gateway.rows("update sallyport.connect_session set status = 'failed', failure = 'connect_denied' where id = $1", [
          uuid('cs', session),
        ])
      },
    })
    await refusedWith(await browser.get(callback), 410, 'connect_session_invalid', 1)
    expect(await connectionsOf(session)).toEqual([])
    expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'connect_denied' })
  })

  it('of an integration that becomes another client while the provider is asked stores nothing', async () => {
    const { callback, browser, session } = await authorized()
    const [before] = await gateway.rows<{ client_id: string }>('select client_id from sallyport.integration where context = $1', [context])
    const become = (id: string) => gateway.rows('update sallyport.integration set client_id = $2 where context = $1', [context, id])
    issuer.behave({ meanwhile: async () => void (await become('another-client')) })
    try {
      await refusedWith(await browser.get(callback), 410, 'connect_session_invalid', 1)
    } finally {
      await become(before!.client_id)
    }
    expect(await connectionsOf(session)).toEqual([])
    expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'connect_session_invalid' })
  })

  it('by HEAD uses nothing up', async () => {
    const { callback, browser } = await authorized()
    const answer = await fetch(callback.replace(PUBLIC_URL, gateway.nodes[0].origin), {
      method: 'HEAD',
      headers: { cookie: browser.cookieHeader() },
    })
    expect(answer.status).toBe(404)
    expect((await browser.get(callback)).status).toBe(303)
  })

  it.each([
    ['an HTML page', { token: 'html' }, 502, 'connect_exchange_failed'],
    ['an error page', { token: 'error_page' }, 502, 'connect_exchange_failed'],
    ['an error with status 200', { token: 'error_in_success' }, 502, 'connect_exchange_failed'],
    ['a rejected client', { token: 'invalid_client' }, 409, 'integration_not_configured'],
    ['a redirect', { token: 'redirect' }, 502, 'connect_exchange_failed'],
    ['a reset', { token: 'reset' }, 502, 'connect_exchange_failed'],
    ['a cut answer', { token: 'truncated' }, 502, 'connect_exchange_failed'],
    ['an answer without end', { token: 'endless' }, 502, 'connect_exchange_failed'],
    ['no access token', { members: { access_token: undefined } }, 502, 'connect_exchange_failed'],
    ['another token type', { members: { token_type: 'mac' } }, 502, 'connect_exchange_failed'],
    ['a scope that the database cannot hold', { members: { scope: 'repo\0' } }, 502, 'connect_exchange_failed'],
    ['an account that cannot be read', { userinfo: 'html' }, 502, 'connect_exchange_failed'],
    ['an account without id', { userinfo: 'no_id' }, 502, 'connect_exchange_failed'],
    ['a token that its own API refuses', { userinfo: 'unauthorized' }, 502, 'connect_exchange_failed'],
  ] as [string, Partial<IssuerBehaviour>, number, string][])(
    'answered by the provider with %s leaves no row behind and says what happened',
    async (_what, behaviour, status, code) => {
      issuer.behave(behaviour)
      const { callback, browser, session } = await authorized()
      const visit = await browser.get(callback)
      expect([visit.status, visit.headers.get('sallyport-error-source')]).toEqual([status, 'gateway'])
      expect(visit.text).toContain(code)
      expect(await connectionsOf(session)).toEqual([])
      expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: code, states: 0 })
      expect((await gateway.actions()).at(-1)).toBe('connect_session.failed')
    },
  )
})

describe('a failure of the gateway itself', () => {
  it('O-20 after the code was spent ends the session, and is on record', async () => {
    await gateway.rows(`create function public.fail_insert() returns trigger language plpgsql as $$ begin raise 'broken'; end $$`)
    await gateway.rows('create trigger broken before insert on sallyport.connection execute function public.fail_insert()')
    try {
      const { callback, browser, session } = await authorized()
      const visit = await browser.get(callback)
      expect([visit.status, visit.text.includes('internal'), visit.text.includes('broken')]).toEqual([500, true, false])
      expect(await statusOf(session)).toMatchObject({ status: 'failed', failure: 'internal', states: 0 })
      expect((await gateway.actions()).at(-1)).toBe('connect_session.failed')
      expect(visit.text).toContain('connect_error=internal')
    } finally {
      await gateway.rows('drop function public.fail_insert cascade')
    }
  })

  it('O-20 before the code was spent leaves the session as it is', async () => {
    const { callback, browser, session } = await authorized()
    await gateway.rows("update sallyport.oauth_state set verifier = '\\x00'::bytea where connect_session_id = $1", [uuid('cs', session)])
    await refusedWith(await browser.get(callback), 503, 'key_unavailable')
    expect(await statusOf(session)).toMatchObject({ status: 'authorizing', failure: null })
  })
})

describe('granted scopes', () => {
  it('O-21 that fall short leave the connection marked, not active', async () => {
    issuer.behave({ members: { scope: 'read:user' } })
    const { session, link } = await gateway.begin()
    const code = new URL((await finish(link)).location!).searchParams.get('connect_code')!
    expect(await complete(session.id, code)).toMatchObject({ status: 'insufficient_scope', grantedScopes: ['read:user'] })
  })

  it('that contain the required ones are enough', async () => {
    const { id } = await gateway.register('contained', 'github', issuer, ['public_repo'])
    expect(id).toBeDefined()
    issuer.behave({ members: { scope: 'repo' } })
    const { session, link } = await gateway.begin({ integration: 'contained' })
    const code = new URL((await finish(link)).location!).searchParams.get('connect_code')!
    expect(await complete(session.id, code)).toMatchObject({ status: 'active', grantedScopes: ['repo'] })
  })
})

describe('a flow that a person began in the console', () => {
  it('O-03 goes on only in that person’s own session, and ends there', async () => {
    const [ada, eve] = [await gateway.person('ada'), await gateway.person('eve')]
    const begin = () => gateway.connect.createSession(ada.principal, gateway.place, { integration: 'github', endUserId: 'ada' })
    const first = await begin()
    const page = await new Browser(gateway.nodes[0]).get(first.link)
    expect(page.status).toBe(200)
    for (const cookie of [undefined, eve.cookie]) {
      const browser = new Browser(gateway.nodes[0], cookie)
      const visit = await browser.post(first.link, { form_token: formTokenOf((await browser.get(first.link)).text) })
      await refusedWith(visit, 403, 'connect_browser_mismatch')
    }

    const browser = new Browser(gateway.nodes[0], ada.cookie)
    const callback = await browser.authorize(first.link)
    browser.plant(eve.cookie)
    await refusedWith(await browser.get(callback), 403, 'connect_browser_mismatch')
    expect(await statusOf(first.session.id)).toMatchObject({ status: 'authorizing', states: 0 })

    const own = new Browser(gateway.nodes[0], ada.cookie)
    const done = await own.get(await own.authorize(first.link))
    expect([done.status, done.text.includes('GitHub is connected')]).toEqual([200, true])
    expect(await connectionsOf(first.session.id)).toEqual([expect.objectContaining({ status: 'active' })])
    expect(await statusOf(first.session.id)).toMatchObject({ status: 'completed' })
    expect((await gateway.actions()).at(-1)).toBe('connection.created')
  })

  it('O-03 is refused when the session ended meanwhile', async () => {
    const ada = await gateway.person('ada-gone')
    const { link } = await gateway.connect.createSession(ada.principal, gateway.place, { integration: 'github', endUserId: 'ada' })
    const browser = new Browser(gateway.nodes[0], ada.cookie)
    const callback = await browser.authorize(link)
    await gateway.database.lookups.sessionClose(ada.principal.sessionHash)
    // Another node has not heard of the session before.
    await refusedWith(await browser.moveTo(gateway.nodes[1]!).get(callback), 403, 'connect_browser_mismatch')
  })

  it('is not for the application to complete', async () => {
    const ada = await gateway.person('ada-alone')
    const { link, session } = await gateway.connect.createSession(ada.principal, gateway.place, { integration: 'github', endUserId: 'ada' })
    const browser = new Browser(gateway.nodes[0], ada.cookie)
    await browser.get(await browser.authorize(link))
    await expect(complete(session.id, 'any', 'ada')).rejects.toMatchObject({ code: 'connect_session_invalid' })
  })
})

/** A flow at the point where the browser is about to come back. */
async function authorized(): Promise<{ session: string; callback: string; browser: Browser }> {
  const { session, link } = await gateway.begin()
  const browser = new Browser(gateway.nodes[0])
  return { session: session.id, callback: await browser.authorize(link), browser }
}

async function finish(link: string): ReturnType<Browser['get']> {
  const browser = new Browser(gateway.nodes[0])
  return browser.get(await browser.authorize(link))
}

function complete(session: string, code: string, endUserId = 'user-1') {
  return gateway.connect.complete(gateway.key, gateway.place, uuid('cs', session), { code: new Secret(code), endUserId })
}

let exchangesSeen = 0
beforeEach(() => {
  exchangesSeen = issuer.exchanges.length
})

/** Refused so, and with that many token calls since the test began. */
async function refusedWith(
  visit: { status: number; text: string; headers: Headers },
  status: number,
  code: string,
  exchanges = 0,
): Promise<void> {
  expect({ status: visit.status, named: visit.text.includes(code) }).toEqual({ status, named: true })
  expect(visit.headers.get('content-security-policy')).toContain("default-src 'none'")
  expect(issuer.exchanges.length - exchangesSeen).toBe(exchanges)
}

function uuid<Kind extends 'cs' | 'conn'>(kind: Kind, id: string) {
  return parseId(kind, id)!
}

async function statusOf(session: string): Promise<{ status: string; failure: string | null; states: number }> {
  const [row] = await gateway.rows<{ status: string; failure: string | null; states: number }>(
    'select s.status, s.failure, (select count(*)::int from sallyport.oauth_state o where o.connect_session_id = s.id) as states from sallyport.connect_session s where s.id = $1',
    [uuid('cs', session)],
  )
  return row!
}

function connectionsOf(session: string): Promise<object[]> {
  return gateway.rows('select status, generation, account_id, account_label, granted_scopes from sallyport.connection where id = $1', [
    uuid('cs', session),
  ])
}

async function tokenOf(connection: NonNullable<ReturnType<typeof parseId<'conn'>>>): Promise<string> {
  const head = await gateway.database.withTenant(gateway.place.org, (tx) => credentialHead(tx, connection))
  return readTokenSet(
    await gateway.vault.open(gateway.place.org, credentialPlace(connection, head!.seq), head!.sealed),
  ).accessToken.reveal()
}

/** Everything stored, bytes as hex and as text. */
async function dump(): Promise<string> {
  const tables = ['connect_session', 'oauth_state', 'connection', 'credential_version', 'integration', 'audit_event']
  const rows = await Promise.all(tables.map((table) => gateway.rows<{ row: string }>(`select t::text as row from sallyport.${table} t`)))
  return rows
    .flat()
    .map(({ row }) => row)
    .join('\n')
}
