/**
 * Calls to models as an operator meets them in the console: keys, routes, use, budgets and stored prompts, before a real gateway and the sandbox's models.
 * The walk through the whole console looks at the empty screens and their first dialogs; here are those that come later.
 */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createPriceBook, HELD_PRICES } from '@sallyport/core'
import { createKey, signInOwner } from '@sallyport/testkit'
import type { Owner } from '@sallyport/testkit'
import { SMALL_MODELS } from '../../packages/console/src/features/models/commands.ts'
import { openBrowserStage, PRICED_MODEL } from './gateway.ts'
import type { BrowserStage } from './gateway.ts'
import { axeFaults, newVisitor, openChromium } from './visitor.ts'
import type { Visitor } from './visitor.ts'

let stage: BrowserStage
let browser: Browser
let visitor: Visitor
let page: Page
/** The same owner, by the typed client. */
let owner: Owner
let key: string
/** What the console was told by the API. */
const answers: string[] = []

beforeAll(async () => {
  ;[stage, browser] = await Promise.all([openBrowserStage(), openChromium(inject('chromiumPath'))])
  visitor = await newVisitor(browser, stage.gateway.url)
  page = visitor.page
  page.on('response', (response) => {
    // A page that was left before its answer came can't be asked for it.
    const gone = (): undefined => undefined
    if (response.url().includes('/api/v1/')) void response.text().then((text) => answers.push(text), gone)
  })
  owner = await signInOwner(stage.gateway)
  key = await createKey(owner, ['llm:call', 'provider_keys:write'])
  await page.goto(stage.gateway.ownerLink)
  await open('Models')
})
afterAll(async () => {
  await browser.close()
  await stage.close()
})
afterEach(() => expect(visitor.faults).toEqual([]))

async function open(screen: string): Promise<void> {
  await page.getByRole('link', { name: screen, exact: true }).click()
  await page.getByRole('heading', { level: 1, name: screen }).waitFor()
  await page.getByText('Loading…').first().waitFor({ state: 'detached' })
}

const rows = (label: string): Locator => page.getByRole('list', { name: label }).locator(':scope > li')
const command = async (): Promise<string> => (await page.getByRole('group').locator('code').first().textContent()) ?? ''

/** Runs a line as a shell would after it was pasted, with `typed` for what it asks; what it gives to curl is sent. */
async function run(line: string, typed: readonly string[]): Promise<Response> {
  const shell = spawnSync('sh', ['-c', `curl() { for word; do printf '%s\\0' "$word"; done; }\n${line}`], {
    input: typed.map((text) => `${text}\n`).join(''),
    encoding: 'utf8',
  })
  const words = shell.stdout.slice(shell.stdout.indexOf('-H')).split('\0').slice(0, -1)
  const headers = new Headers()
  let body: string | null = null
  while (words.length > 1) {
    const [flag, value = ''] = words.splice(0, 2)
    if (flag === '-H') headers.append(value.slice(0, value.indexOf(':')), value.slice(value.indexOf(':') + 1).trim())
    else if (flag === '-d') body = value
  }
  return fetch(words[0]!, { method: 'POST', headers, body })
}

describe('the screen of models', () => {
  it('leads from nothing to a kept key by a line that works as pasted', async () => {
    await page.getByRole('heading', { name: 'No key of this environment yet' }).waitFor()
    const answer = await run(await command(), [key, 'not-a-real-openai-key-1234'])
    expect(answer.status).toBe(201)
    await page.reload()
    await rows('Keys of this environment').getByText('…1234').waitFor()
  })

  it('keeps a key, replaces it with an overlap, and never shows it again', async () => {
    await page.getByRole('button', { name: 'Keep a key' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Provider').selectOption({ label: 'Sandbox' })
    await dialog.getByLabel('Key', { exact: true }).fill(stage.models.key)
    await dialog.getByRole('button', { name: 'Keep it' }).click()
    await page.getByRole('button', { name: 'Replace sandbox default' }).click()
    await dialog.getByLabel('Key', { exact: true }).fill(stage.models.key)
    expect(await axeFaults(page)).toEqual([])
    await dialog.getByRole('button', { name: 'Replace' }).click()
    await rows('Keys of this environment').getByText('Replaced').waitFor()
    await page.getByText('At hand until').waitFor()
    expect(await page.content()).not.toContain(stage.models.key)
    await expect.poll(() => answers.some((answer) => answer.includes('"state":"ending"'))).toBe(true)
    expect(answers.filter((answer) => answer.includes(stage.models.key))).toEqual([])
  })

  it('says in words why a second key under one name is refused', async () => {
    await page.getByRole('button', { name: 'Keep a key' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Key', { exact: true }).fill('not-a-real-openai-key-5678')
    await dialog.getByRole('button', { name: 'Keep it' }).click()
    await dialog.getByRole('alert').getByText('conflict').waitFor()
    expect(visitor.faults.splice(0)).toEqual([expect.stringMatching(/^console: 409 .*\/provider-keys$/u)])
    await dialog.getByLabel('For').selectOption('organization')
    await dialog.getByRole('button', { name: 'Keep it' }).click()
    await rows('Keys of the organization').getByText('…5678').waitFor()
  })

  it('ends a key after asking', async () => {
    await page.getByRole('button', { name: 'Revoke openai default' }).first().click()
    await page.getByRole('button', { name: 'Revoke the key' }).click()
    await rows('Keys of this environment').getByText('Ended').waitFor()
  })

  it('says whose keys calls go out with, and changes it when it is saved', async () => {
    const { client, place } = owner
    const mode = async () => (await client.call('settingsGet', { params: { org: place.org } })).settings.provider_key_mode
    await page.getByLabel('Kept keys alone').check()
    expect(await mode()).toBe('either')
    await page.getByRole('button', { name: 'Change whose keys' }).click()
    await page.getByRole('button', { name: 'Change whose keys' }).waitFor({ state: 'detached' })
    expect(await mode()).toBe('vault_only')
  })

  it('makes a route, changes its order, and takes one out', async () => {
    await page.getByRole('button', { name: 'Make a route' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Name', { exact: true }).fill('fast')
    const models = dialog.getByLabel('Model', { exact: true })
    await models.first().fill('sandbox-none')
    await dialog.getByRole('button', { name: 'Add a target' }).click()
    await dialog.getByLabel('Provider').nth(1).selectOption({ label: 'Sandbox' })
    await models.nth(1).fill(PRICED_MODEL)
    expect(await axeFaults(page)).toEqual([])
    await dialog.getByRole('button', { name: 'Make it' }).click()
    const targets = rows('Named routes').getByRole('listitem')
    await targets.first().getByText('sandbox-none').waitFor()

    await page.getByRole('button', { name: 'Change fast' }).click()
    await dialog.getByRole('button', { name: 'Move target 2 up' }).click()
    await dialog.getByRole('button', { name: 'Change it' }).click()
    await targets.first().getByText(`sandbox/${PRICED_MODEL}`).waitFor()
    const { client, place } = owner
    const { data } = await client.call('modelRouteList', { params: place })
    expect(data[0]!.targets.map(({ model }) => model)).toEqual([PRICED_MODEL, 'sandbox-none'])

    await client.call('modelRouteCreate', { params: place, body: { name: 'spare', targets: [{ provider: 'sandbox', model: 'x' }] } })
    await page.reload()
    await page.getByRole('button', { name: 'Take out spare' }).click()
    await page.getByRole('button', { name: 'Take the route out' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await rows('Named routes').count()).toBe(1)
    expect(await axeFaults(page)).toEqual([])
  })
})

it('the models that commands and routes begin with are known by their price', () => {
  const book = createPriceBook([HELD_PRICES])
  const unknown = Object.entries(SMALL_MODELS).filter(([provider, model]) => book.family(provider, model) === undefined)
  expect(unknown).toEqual([['sandbox', stage.models.model]])
})

describe('the screen of usage', () => {
  /** What is written down of so many calls is there to be read. */
  async function counted(calls: number): Promise<void> {
    const { client, place } = owner
    await expect.poll(async () => (await client.call('usageGet', { params: place })).data[0]?.calls).toBe(calls)
    await page.getByRole('button', { name: 'Refresh' }).click()
    await page.getByRole('table').waitFor()
  }

  it('leads from nothing to a first call by a line that works as pasted', async () => {
    await open('Usage')
    await page.getByRole('heading', { name: 'No model was called in these days' }).waitFor()
    const answer = await run(await command(), [key])
    expect(answer.status).toBe(200)
    expect(answer.headers.get('sallyport-served-by')).toBe(`sandbox/${PRICED_MODEL}`)
    await answer.text()
    await counted(1)
    await page
      .getByRole('table')
      .getByText(/^\$0\.\d+/u)
      .waitFor()
    await page.getByRole('table').getByText('measured').waitFor()
  })

  it('calls what has no known price so, and never free; and adds up by model, key and end user', async () => {
    const answer = await fetch(`${stage.gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'sallyport-user': 'ann' },
      body: JSON.stringify({ model: `sandbox/${stage.models.model}`, messages: [{ role: 'user', content: 'Say hello.' }] }),
    })
    expect(answer.status).toBe(200)
    await answer.text()
    await counted(2)
    const by = page.getByLabel('Added up by')
    await by.selectOption('Model')
    await page.getByRole('row').filter({ hasText: stage.models.model }).getByText('no price').waitFor()
    await page
      .getByRole('row')
      .filter({ hasText: PRICED_MODEL })
      .getByText(/^\$0\.\d+/u)
      .waitFor()
    await by.selectOption('API key')
    await page.getByRole('row').filter({ hasText: 'a test' }).getByText('no price for 1 of 2 calls').waitFor()
    await by.selectOption('End user')
    await page.getByRole('row').filter({ hasText: 'ann' }).waitFor()
    const calls = rows('Calls of models, newest first')
    await calls
      .first()
      .getByText(/^\d+ read, \d+ written, no price$/u)
      .waitFor()
    await calls.first().getByText('With a test, for ann').waitFor()
    await calls.nth(1).getByText('By route fast, with a test').waitFor()
  })

  it('gives every row as a file', async () => {
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download CSV' }).click()
    const file = await download
    expect(file.suggestedFilename()).toMatch(/^usage-\d{4}-\d\d-\d\d-\d{4}-\d\d-\d\d\.csv$/u)
    expect((await readFile(await file.path(), 'utf8')).trimEnd().split('\r\n')).toHaveLength(3)
  })

  it('sets a budget that bounds the next call, says what is spent of it, changes it and takes it away', async () => {
    await page.getByRole('button', { name: 'Set a budget' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Bounds the calls').selectOption({ label: 'with the key a test' })
    await dialog.getByLabel('US dollars').fill('0.01')
    await dialog.getByRole('button', { name: 'Set it' }).click()
    const budget = rows('Budgets').filter({ hasText: 'key a test' })
    await budget.getByText('$0.01 a month. Calls beyond it are refused').waitFor()
    await budget.getByText(/spent since \d{4}-\d\d-\d\d, \$0\.00 set aside/u).waitFor()
    const call = async () => {
      const answer = await fetch(`${stage.gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'fast', messages: [{ role: 'user', content: 'Say hello.' }] }),
      })
      await answer.text()
      return answer.status
    }
    await expect.poll(call).toBe(402)

    await page.getByRole('button', { name: 'Change the budget of key a test' }).click()
    await dialog.getByLabel('US dollars').fill('1000')
    await dialog.getByRole('button', { name: 'Change it' }).click()
    await budget.getByText('$1,000.00 a month').waitFor()
    await expect.poll(call).toBe(200)
    expect(await axeFaults(page)).toEqual([])

    await page.getByRole('button', { name: 'Take away the budget of key a test' }).click()
    await page.getByRole('button', { name: 'Take it away' }).click()
    await page.getByRole('heading', { name: 'No budget yet' }).waitFor()
  })
})

describe('the settings', () => {
  it('keep nothing of prompts until an owner says so, and say since when and by whom', async () => {
    await open('Settings')
    await page.getByText('Nothing is kept').waitFor()
    await page.getByText('Nobody has read a stored prompt or answer.').waitFor()
    await page.getByLabel('Keep prompts').check()
    await page.getByLabel('Days').fill('7')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Something is kept').waitFor()
    await page.getByText(/Settled by user_/u).waitFor()
    const { settings } = await owner.client.call('settingsGet', { params: { org: owner.place.org } })
    expect(settings).toMatchObject({ store_prompts: true, store_responses: false, stored_content_days: 7 })
    expect(await axeFaults(page)).toEqual([])
  })
})

describe('the screens, to people with a smaller role', () => {
  /** The gateway decides by the real one; the console is told another, to see what it hides. */
  async function asRole(role: string): Promise<void> {
    await page.route('**/api/v1/whoami', async (route) => {
      const answer = await route.fetch()
      const person = (await answer.json()) as { memberships: { role: string }[] }
      await route.fulfill({ response: answer, json: { ...person, memberships: person.memberships.map((one) => ({ ...one, role })) } })
    })
    await page.goto(`${stage.gateway.url}/console/`)
  }
  afterEach(() => page.unroute('**/api/v1/whoami'))

  const seen = async (name: string | RegExp): Promise<number> => page.getByRole('button', { name }).count()

  it('show a VIEWER everything to look at and nothing to change', async () => {
    await asRole('VIEWER')
    await open('Models')
    await rows('Named routes').first().waitFor()
    expect(await seen(/^(Keep a key|Replace|Revoke|Make a route|Change|Take out)/u)).toBe(0)
    await open('Usage')
    await page.getByRole('table').waitFor()
    expect(await seen(/^(Download CSV|Set a budget)$/u)).toBe(0)
    for (const screen of ['Audit', 'Settings']) expect(await page.getByRole('link', { name: screen, exact: true }).count()).toBe(0)
  })

  it('let BILLING set budgets and download use, and leave keys and routes alone', async () => {
    await asRole('BILLING')
    await open('Usage')
    await page.getByRole('table').waitFor()
    expect(await seen(/^(Download CSV|Set a budget)$/u)).toBe(2)
    await open('Models')
    await rows('Named routes').first().waitFor()
    expect(await seen(/^(Keep a key|Replace|Revoke|Make a route|Change|Take out)/u)).toBe(0)
  })
})
