import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { openBrowserStage } from './gateway.ts'
import type { BrowserStage } from './gateway.ts'
import { axeFaults, failedAnswer, newVisitor, openChromium, overflow } from './visitor.ts'
import type { Visitor } from './visitor.ts'

const SCREENS = ['Overview', 'Connections', 'Integrations', 'Models', 'API keys', 'Requests', 'Usage', 'Audit', 'Settings'] as const
type Screen = (typeof SCREENS)[number]

let stage: BrowserStage
let browser: Browser
/** The one who signs in; the others look with the same session. */
let owner: Visitor
const visitors: Visitor[] = []

beforeAll(async () => {
  ;[stage, browser] = await Promise.all([openBrowserStage(), openChromium(inject('chromiumPath'))])
})
afterAll(async () => {
  await browser.close()
  await stage.close()
})

/** What a test expects it takes out of the record: the rest is nobody's. */
afterEach(() => expect(visitors.flatMap(({ faults }) => faults)).toEqual([]))

async function visit(options?: Parameters<typeof newVisitor>[2]): Promise<Visitor> {
  const visitor = await newVisitor(browser, stage.gateway.url, options)
  visitors.push(visitor)
  return visitor
}

/** Opens a screen by the menu, as a person does, and waits for its heading. */
async function open(page: Page, screen: Screen): Promise<void> {
  const menu = page.getByRole('button', { name: 'Menu' })
  if (await menu.isVisible()) await menu.click()
  await page.getByRole('link', { name: screen, exact: true }).click()
  await settled(page, screen)
}

async function settled(page: Page, screen: Screen): Promise<void> {
  await page.getByRole('heading', { level: 1, name: screen }).waitFor()
  // Screens of several parts load each by itself.
  await page.getByText('Loading…').first().waitFor({ state: 'detached' })
}

/** The text of the box with this label in the open dialog. */
async function copied(page: Page, label: string): Promise<string> {
  return (await page.getByRole('dialog').getByRole('group', { name: label }).locator('code').textContent()) ?? ''
}

describe('the record of what a page does wrong', () => {
  it('notices breaches of the content policy, errors, and answers that failed', async () => {
    const { page, faults, context } = await visit()
    await page.goto(`${stage.gateway.url}/console/`)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    const noticed = async (fault: string): Promise<void> => {
      await expect.poll(() => faults.filter((found) => found.startsWith(fault))).not.toEqual([])
    }
    await noticed(failedAnswer(401, '/api/v1/whoami'))
    await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: '0' }))")
    await noticed('content policy: script-src-elem inline')
    await page.evaluate("document.body.setAttribute('style', 'color: red')")
    await noticed('content policy: style-src-attr inline')
    await page.evaluate("document.body.append(Object.assign(new Image(), { src: 'http://elsewhere.invalid/x.png' }))")
    await noticed('content policy: img-src http://elsewhere.invalid/x.png')
    await page.evaluate("setTimeout(() => { throw new Error('planted') }, 0)")
    await noticed('script: planted')
    await page.evaluate("console.error('planted too')")
    await noticed('console: planted too')
    await context.close()
    faults.length = 0
  })

  it('notices a request to another host, should the content policy ever let one out', async () => {
    const { page, faults, context } = await visit({ bypassCSP: true })
    await page.goto(`${stage.gateway.url}/console/`)
    await page.evaluate(`fetch('${stage.github.origin}/', { mode: 'no-cors' })`)
    await expect.poll(() => faults).toContain(`request to ${stage.github.origin}`)
    await context.close()
    faults.length = 0
  })
})

describe('the console, as its owner walks through it', () => {
  let page: Page
  let key: string
  const answers: string[] = []

  beforeAll(async () => {
    owner = await visit()
    page = owner.page
    page.on('response', (response) => {
      // The one answer that holds a secret on purpose is the new key's own.
      const wanted = response.url().includes('/api/v1/') && response.request().method() === 'GET'
      // A page that was left before its answer came can't be asked for it.
      const gone = (): undefined => undefined
      if (wanted) void response.text().then((text) => answers.push(text), gone)
    })
  })

  it('L-19 takes the owner link out of the address bar and the history, and signs in with it', async () => {
    await page.goto(stage.gateway.ownerLink)
    await settled(page, 'Overview')
    expect(page.url()).not.toContain('#')
    await page.goBack()
    expect(page.url()).toBe('about:blank')
    await page.goForward()
    await settled(page, 'Overview')
    expect(await axeFaults(page)).toEqual([])
  })

  it('keeps the session in a cookie that scripts cannot read', async () => {
    const [session, ...others] = await owner.context.cookies(stage.gateway.url)
    expect(others).toEqual([])
    expect(session).toMatchObject({ name: 'sallyport_session', httpOnly: true, sameSite: 'Lax', path: '/' })
    expect(await page.evaluate('document.cookie')).toBe('')
    await page.reload()
    await settled(page, 'Overview')
  })

  it('refuses the same link a second time and says what to do', async () => {
    const stranger = await visit()
    await stranger.page.goto(stage.gateway.ownerLink)
    await stranger.page.getByRole('heading', { name: 'This link no longer works' }).waitFor()
    await stranger.page.getByText('Every start prints a new one').waitFor()
    expect(stranger.page.url()).toBe(`${stage.gateway.url}/console/`)
    expect(await axeFaults(stranger.page)).toEqual([])
    // Chromium reports both refusals; nothing else may be there.
    expect(stranger.faults.splice(0)).toEqual([failedAnswer(401, '/api/v1/session'), failedAnswer(401, '/api/v1/whoami')])
  })

  it('leads from an empty environment to its first integration and gives the redirect URI', async () => {
    await page.getByRole('link', { name: 'Add an integration' }).click()
    await settled(page, 'Integrations')
    expect(await axeFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Add an integration' }).first().click()
    const dialog = page.getByRole('dialog', { name: 'Add an integration' })
    await dialog.getByLabel('Provider').selectOption({ label: 'GitHub' })
    await dialog.getByLabel('Client id').fill(stage.github.clientId)
    await dialog.getByLabel('Client secret').fill(stage.github.clientSecret)
    expect(await axeFaults(page)).toEqual([])
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('dialog', { name: 'One step at the provider' }).waitFor()
    const redirectUri = await copied(page, 'Redirect URI')
    expect(redirectUri).toMatch(new RegExp(`^${stage.gateway.url}/oauth/cb/[\\w-]+$`, 'u'))
    await page.getByRole('button', { name: 'Done' }).click()
    await page.getByRole('list', { name: 'Integrations' }).getByText(redirectUri).waitFor()
    expect(await axeFaults(page)).toEqual([])
  })

  it('connects an account through the hosted page and the provider’s own', async () => {
    await open(page, 'Connections')
    await page.getByRole('button', { name: 'Connect an account' }).first().click()
    await page.getByRole('dialog').getByRole('combobox', { name: 'Integration' }).waitFor()
    expect(await axeFaults(page)).toEqual([])
    const opened = owner.context.waitForEvent('page')
    await page.getByRole('button', { name: 'Continue' }).click()
    const hosted = await opened
    await hosted.getByRole('button', { name: 'Continue to GitHub' }).waitFor()
    expect(new URL(hosted.url()).origin).toBe(stage.gateway.url)
    expect(await hosted.evaluate('window.opener')).toBeNull()
    expect(await axeFaults(hosted)).toEqual([])
    await hosted.getByRole('button', { name: 'Continue to GitHub' }).click()
    await hosted.waitForURL(`${stage.github.origin}/**`)
    await hosted.getByRole('button').filter({ hasText: stage.github.users[0]! }).click()
    await hosted.getByRole('heading', { name: 'GitHub is connected' }).waitFor()
    expect(await axeFaults(hosted)).toEqual([])
    await hosted.close()
    await page.getByText('The account is connected').waitFor()
    await page.getByRole('button', { name: 'Done' }).click()
    const connection = page.getByRole('list', { name: 'Connections' }).getByRole('listitem')
    await connection.filter({ hasText: stage.github.users[0]! }).getByText('Active').waitFor()
    expect(await axeFaults(page)).toEqual([])
  })

  it('K-01 shows a new key once, with a command that works as it stands', async () => {
    await open(page, 'API keys')
    await page.getByRole('button', { name: 'Create a key' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('my application')
    await dialog.getByLabel('Only from').fill('127.0.0.0/8, ::1')
    expect(await axeFaults(page)).toEqual([])
    await dialog.getByRole('button', { name: 'Create', exact: true }).click()
    await page.getByRole('dialog', { name: 'Copy the key now' }).waitFor()
    expect(await axeFaults(page)).toEqual([])
    key = await copied(page, 'API key')
    expect(key).toMatch(/^sp_test_/u)
    const command = /^curl -H '(\w+): (.+)' -H '([\w-]+): (\w+)' '(.+)'$/u.exec(await copied(page, 'A first call'))!
    const answer = await fetch(command[5]!, { headers: { [command[1]!]: command[2]!, [command[3]!]: command[4]! } })
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ login: stage.github.users[0] })
    await page.getByRole('button', { name: 'I have copied it' }).click()
    await page.getByRole('list', { name: 'API keys' }).getByText('my application').waitFor()
    await page.getByRole('list', { name: 'API keys' }).getByText('127.0.0.0/8 ::1/128').waitFor()
    expect(await page.content()).not.toContain(key)
    expect(await axeFaults(page)).toEqual([])
  })

  it('shows the call in Requests', async () => {
    await open(page, 'Requests')
    const row = page.getByRole('row').filter({ hasText: 'GET /user' })
    await row.getByText('200').waitFor()
    await row.getByRole('cell', { name: 'provider' }).waitFor()
    expect(await axeFaults(page)).toEqual([])
  })

  it('shows in Audit what was done, and that the chain is intact', async () => {
    await open(page, 'Audit')
    const events = page.getByRole('list', { name: 'Audit events, newest first' })
    for (const action of ['session.created', 'integration.created', 'connection.created', 'key.created', 'credential.used']) {
      await events.getByText(action, { exact: true }).first().waitFor()
    }
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText(/^The chain is intact: \d+ events/u).waitFor()
    await events.getByText('key.created', { exact: true }).first().click()
    await events.getByText('"my application"').waitFor()
    expect(await axeFaults(page)).toEqual([])
  })

  it('turns a key off after asking', async () => {
    await open(page, 'API keys')
    await page.getByRole('button', { name: 'Revoke my application' }).click()
    expect(await axeFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Revoke the key' }).click()
    await page.getByRole('list', { name: 'API keys' }).getByText('Revoked', { exact: true }).waitFor()
    const refused = await fetch(`${stage.gateway.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${key}` } })
    expect(refused.status).toBe(401)
  })

  it('keeps the environments apart, and says in each empty screen what to do next', async () => {
    await page.getByRole('link', { name: 'live' }).click()
    await page.getByText('No key yet').waitFor()
    for (const [screen, words] of [
      ['Connections', 'No account is connected yet'],
      ['Integrations', 'No integration yet'],
      ['Requests', 'No call has gone out yet'],
    ] as const) {
      await open(page, screen)
      await page.getByRole('heading', { name: words }).waitFor()
      expect(await axeFaults(page)).toEqual([])
    }
    await page.getByRole('link', { name: 'test' }).click()
    await page.getByRole('table').waitFor()
  })

  it('shows a refusal with its detail and the request id to ask about', async () => {
    await open(page, 'Integrations')
    await page.getByRole('button', { name: 'Add an integration' }).first().click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Provider').selectOption({ label: 'GitHub' })
    await dialog.getByLabel('Client id').fill('another')
    await dialog.getByLabel('Client secret').fill('not-a-secret')
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    const alert = dialog.getByRole('alert')
    await alert.getByText('conflict').waitFor()
    await alert.getByText(/req_[0-9A-Za-z]{22}/u).waitFor()
    expect(await axeFaults(page)).toEqual([])
    expect(owner.faults.splice(0)).toEqual([
      failedAnswer(
        409,
        new URL(page.url()).pathname.replace(/^\/console\/(\w+)\/(\w+)\/(\w+)\/.*$/u, '/api/v1/orgs/$1/projects/$2/$3/integrations'),
      ),
    ])
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
  })

  it('never reads a stored secret back', async () => {
    await expect.poll(() => answers.length).toBeGreaterThan(20)
    for (const secret of [stage.github.clientSecret, key]) expect(answers.filter((answer) => answer.includes(secret))).toEqual([])
  })

  it('signs out: the cookie is gone, and no address shows anything but the sign-in', async () => {
    const address = page.url()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    const cookies = await owner.context.cookies(stage.gateway.url)
    expect(cookies.map(({ name }) => name)).not.toContain('sallyport_session')
    expect(await page.content()).not.toContain('octo')
    expect(owner.faults.splice(0)).toEqual([])
    await page.goto(address)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await axeFaults(page)).toEqual([])
    expect(owner.faults.splice(0)).toEqual([failedAnswer(401, '/api/v1/whoami')])
  })

  it('takes a link that is pasted over its own address', async () => {
    await page.goto(`${stage.gateway.url}/console/`)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.evaluate(`location.hash = 'owner=${stage.gateway.starterToken}'`)
    await settled(page, 'Overview')
    expect(page.url()).not.toContain('#')
    expect(owner.faults.splice(0)).toEqual([failedAnswer(401, '/api/v1/whoami')])
  })
})

describe('the console, however it is looked at', () => {
  let session: Awaited<ReturnType<Visitor['context']['storageState']>>

  beforeAll(async () => {
    session = await owner.context.storageState()
  })

  // Wide and light, every screen was looked at on the walk above.
  it('fits a phone and can be read in the dark, on every screen and in every dialog', { timeout: 180_000 }, async () => {
    const { page, context } = await visit({ viewport: { width: 390, height: 844 }, colorScheme: 'dark', storageState: session })
    await page.goto(`${stage.gateway.url}/console/`)
    await settled(page, 'Overview')
    for (const screen of SCREENS) {
      await open(page, screen)
      expect([screen, await axeFaults(page), await overflow(page)]).toEqual([screen, [], 0])
      const action = page.getByRole('button', { name: /^(Connect an account|Add an integration|Keep a key|Create a key|Set a budget)$/u })
      if (!(await action.isVisible())) continue
      await action.click()
      const dialog = page.getByRole('dialog')
      await dialog.getByRole('textbox').first().waitFor()
      expect([screen, await axeFaults(page), await overflow(page)]).toEqual([screen, [], 0])
      await dialog.getByRole('button', { name: 'Cancel' }).click()
      await dialog.waitFor({ state: 'detached' })
    }
    await context.close()
  })

  it('leads to the sign-in from wherever it is when the session has ended elsewhere', async () => {
    const { page, context, faults } = await visit({ storageState: session })
    await page.goto(`${stage.gateway.url}/console/`)
    await settled(page, 'Overview')
    await context.clearCookies({ name: 'sallyport_session' })
    await page.getByRole('link', { name: 'Requests', exact: true }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.content()).not.toContain('/user')
    expect(faults.splice(0)).toEqual([expect.stringMatching(/^console: 401 .*\/requests$/u)])
    await context.close()
  })

  it('can be used by the keyboard alone, and always shows where it is', async () => {
    const { page, context } = await visit({ storageState: session })
    await page.goto(`${stage.gateway.url}/console/`)
    await settled(page, 'Overview')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('screen')
    await tabTo(page, 'API keys')
    await page.keyboard.press('Enter')
    await settled(page, 'API keys')
    await tabTo(page, 'Create a key')
    await page.keyboard.press('Enter')
    await tabTo(page, 'Name')
    await page.keyboard.type('by keyboard')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Copy the key now' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Create a key')
    await page.getByRole('list', { name: 'API keys' }).getByText('by keyboard').waitFor()
    await context.close()
  })
})

/** The label, or else the text, of what has the focus, and its outline's style. */
const FOCUSED = `(({ activeElement: e }) => [e.labels?.[0]?.textContent ?? e.textContent, getComputedStyle(e).outlineStyle])(document)`

/** Presses Tab until what has this name has the focus; everything on the way must show an outline. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press('Tab')
    const [words, outline] = await page.evaluate<[string, string]>(FOCUSED)
    if (words === name) {
      expect(outline).not.toBe('none')
      return
    }
  }
  throw new Error(`no way by Tab to ${name}`)
}
