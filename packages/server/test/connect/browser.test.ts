/**
 * The hosted page in a real Chromium. Only a browser knows whether a form's redirects through provider and gateway to the application pass the
 * page's own policy, and whether the cookie comes along when the browser returns from another site.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { Secret, parseId } from '@sallyport/core'
import { startIssuer } from '../../../testkit/src/issuer/index.ts'
import type { Issuer } from '../../../testkit/src/issuer/index.ts'
import { onFreePort } from '../../../testkit/src/servers/free-port.ts'
import { createGateway } from './harness.ts'
import type { Gateway } from './harness.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let issuer: Issuer
let application: Server
let app: string
let gateway: Gateway
let profile: string
let browser: BrowserContext

beforeAll(async () => {
  issuer = await startIssuer()
  application = createServer((_request, response) =>
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>App</title><h1>Back in the app</h1>'),
  )
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
  // By name, so that provider and application are other sites than the gateway, as in life.
  app = `http://localhost:${(application.address() as AddressInfo).port}`
  const elsewhere = (url: string): string => url.replace('127.0.0.1', 'localhost')
  const { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } = issuer.endpoints
  gateway = await onFreePort((port) =>
    createGateway(inject('postgresUrl'), {
      overlays: {
        github: {
          authorizationEndpoint: elsewhere(authorizationEndpoint),
          tokenEndpoint: elsewhere(tokenEndpoint),
          userinfoEndpoint,
          apiBase,
          issuer: issuer.origin,
        },
      },
      insecureAllowOrigins: [issuer.origin, elsewhere(issuer.origin)],
      publicUrl: `http://127.0.0.1:${port}`,
      returnOrigins: [app],
    }),
  )
  await gateway.register('github', 'github', issuer)
  profile = await mkdtemp(join(tmpdir(), 'sallyport-browser-'))
  browser = await chromium.launchPersistentContext(profile, { executablePath: inject('chromiumPath'), headless: true, args: FLAGS })
})
afterAll(async () => {
  await browser.close()
  await gateway.close()
  await issuer.close()
  application.closeAllConnections()
  await new Promise((resolve) => application.close(resolve))
  await rm(profile, { recursive: true, force: true, maxRetries: 10 })
})

describe('a person in a browser', () => {
  it('O-02 goes through another site and back to the application by one button, and the same cookie is there', async () => {
    const { session, link } = await gateway.begin({ returnTo: `${app}/done` })
    const { page, faults } = await open(link)
    await page.getByRole('button', { name: 'Continue to GitHub' }).click()
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    const code = new URL(page.url()).searchParams.get('connect_code')!
    expect(faults).toEqual([])
    const made = await gateway.connect.complete(gateway.key, gateway.place, parseId('cs', session.id)!, {
      code: new Secret(code),
      endUserId: 'user-1',
    })
    expect(made.status).toBe('active')
  })

  it('is told why nothing was connected, and led back', async () => {
    issuer.behave({ answer: { error: 'access_denied', description: '<b>no</b>' } })
    const { page } = await open((await gateway.begin({ returnTo: `${app}/done` })).link)
    await page.getByRole('button').click()
    await page.getByRole('heading', { name: 'Access was declined' }).waitFor()
    expect(await axe(page)).toEqual([])
    await page.getByRole('link', { name: 'Back to the application' }).click()
    await page.getByRole('heading', { name: 'Back in the app' }).waitFor()
    expect(new URL(page.url()).searchParams.get('connect_error')).toBe('connect_denied')
    issuer.behave()
  })

  it('reads every page without a barrier, in light and dark colours and on a narrow screen', async () => {
    const { page, faults } = await open((await gateway.begin({ returnTo: undefined })).link)
    await page.setViewportSize({ width: 320, height: 640 })
    expect([await axe(page), await overflow(page)]).toEqual([[], 0])
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await axe(page)).toEqual([])
    await page.getByRole('button').click()
    await page.getByRole('heading', { name: 'Almost done' }).waitFor()
    expect([await axe(page), await overflow(page)]).toEqual([[], 0])
    expect(faults).toEqual([])
  })
})

async function open(link: string): Promise<{ page: Page; faults: string[] }> {
  const page = await browser.newPage()
  const faults: string[] = []
  page.on('console', (message) => {
    // A browser asks every site for an icon; the pages name none, and each host answers that as it likes.
    if (message.type() === 'error' && !message.location().url.endsWith('/favicon.ico')) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(error.message))
  await page.goto(link)
  return { page, faults }
}

async function axe(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`)
}

/** Pixels by which the page is wider than the screen. */
function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
