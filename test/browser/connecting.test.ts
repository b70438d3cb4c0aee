import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { setStage } from '@sallyport/testkit'
import type { Stage } from '@sallyport/testkit'
import { builtConsole } from './gateway.ts'
import { axeFaults, newVisitor, openChromium } from './visitor.ts'
import type { Visitor } from './visitor.ts'

let stage: Stage
let browser: Browser
let owner: Visitor
let page: Page

beforeAll(async () => {
  await builtConsole()
  ;[stage, browser] = await Promise.all([setStage(), openChromium(inject('chromiumPath'))])
  owner = await newVisitor(browser, stage.gateway.url)
  page = owner.page
  await page.goto(stage.gateway.ownerLink)
  await page.getByRole('link', { name: 'Connections', exact: true }).click()
})
afterAll(async () => {
  await browser.close()
  await stage.close()
})
afterEach(() => {
  stage.issuer.behave()
  expect(owner.faults).toEqual([])
})

const row = (text: string): Locator => page.getByRole('list', { name: 'Connections' }).getByRole('listitem').filter({ hasText: text })

/** Continues from the open dialog through the hosted page; the issuer signs its person in without asking. Ends on the page with `heading`. */
async function goThrough(heading: string): Promise<void> {
  const opened = owner.context.waitForEvent('page')
  await page.getByRole('button', { name: 'Continue' }).click()
  const hosted = await opened
  await hosted.getByRole('button', { name: 'Continue to GitHub' }).click()
  await hosted.getByRole('heading', { name: heading }).waitFor()
  expect(await axeFaults(hosted)).toEqual([])
  await hosted.close()
}

async function connect(endUser: string, heading: string): Promise<void> {
  await page.getByRole('button', { name: 'Connect an account' }).click()
  await page.getByLabel('End user').fill(endUser)
  await goThrough(heading)
}

describe('connecting from the console', () => {
  it('says that access was refused, and begins again', async () => {
    stage.issuer.behave({ answer: { error: 'access_denied', description: '<b>no</b>' } })
    await connect('refusing', 'Access was declined')
    expect(owner.faults.splice(0)).toEqual([expect.stringMatching(/^console: 4\d\d \/oauth\/cb\//u)])
    await page.getByRole('dialog').getByText('Access was refused at the provider.').waitFor()
    expect(await axeFaults(page)).toEqual([])
    stage.issuer.behave()
    await page.getByRole('button', { name: 'Begin again' }).click()
    await page.getByLabel('End user').fill('consenting')
    await goThrough('GitHub is connected')
    await page.getByRole('button', { name: 'Done' }).click()
    await row('consenting').getByText('Active').waitFor()
  })

  it('O-21 says which scopes were not granted, and mends it without changing the connection’s id', async () => {
    stage.issuer.behave({ members: { scope: 'read:user' } })
    await connect('half-hearted', 'GitHub is connected')
    await page.getByRole('dialog').getByText('Missing: repo').waitFor()
    expect(await axeFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Done' }).click()
    await row('half-hearted').getByText('Scopes missing').waitFor()
    await row('half-hearted').getByText('Missing: repo').waitFor()
    expect(await axeFaults(page)).toEqual([])
    const id = await row('half-hearted')
      .getByText(/^conn_/u)
      .textContent()
    await page.getByRole('link', { name: 'Overview' }).click()
    await page.getByText('One connection needs somebody').waitFor()
    expect(await axeFaults(page)).toEqual([])
    await page.getByRole('link', { name: 'See what to do' }).click()

    stage.issuer.behave()
    await row('half-hearted').getByRole('button', { name: 'Reconnect' }).click()
    expect(await axeFaults(page)).toEqual([])
    await goThrough('GitHub is connected')
    await page.getByRole('button', { name: 'Done' }).click()
    await row('half-hearted').getByText('Active').waitFor()
    expect(
      await row('half-hearted')
        .getByText(/^conn_/u)
        .textContent(),
    ).toBe(id)
  })

  it('O-03 gives a link that works in this session only', async () => {
    await page.getByRole('button', { name: 'Connect an account' }).click()
    await page.getByLabel('End user').fill('lured')
    const opened = owner.context.waitForEvent('page')
    await page.getByRole('button', { name: 'Continue' }).click()
    await (await opened).close()
    const link = await page.getByRole('link', { name: 'Open the connect page' }).getAttribute('href')
    const stranger = await newVisitor(browser, stage.gateway.url)
    await stranger.page.goto(link!)
    await stranger.page.getByRole('button', { name: 'Continue to GitHub' }).click()
    await stranger.page.getByText('connect_browser_mismatch').waitFor()
    expect(await axeFaults(stranger.page)).toEqual([])
    await stranger.context.close()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await row('half-hearted').waitFor()
    expect(await row('lured').count()).toBe(0)
  })
})
