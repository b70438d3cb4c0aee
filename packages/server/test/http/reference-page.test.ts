/** The reference page is third-party script under our strict content policy: only a real browser knows whether it still works. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { expect, inject, it } from 'vitest'
import { createWorld } from './world.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

it('shows the operations in a browser without breaking its content policy or asking another host', async () => {
  const world = await createWorld(inject('postgresUrl'))
  const profile = await mkdtemp(join(tmpdir(), 'sallyport-browser-'))
  const browser = await chromium.launchPersistentContext(profile, { executablePath: inject('chromiumPath'), headless: true, args: FLAGS })
  try {
    const page = await browser.newPage()
    const refused: string[] = []
    const hosts = new Set<string>()
    page.on('console', (message) => {
      if (message.type() === 'error') refused.push(message.text())
    })
    page.on('pageerror', (error) => refused.push(error.message))
    page.on('request', (request) => {
      if (!request.url().startsWith('data:')) hosts.add(new URL(request.url()).host)
    })
    await page.goto(`${world.url}/docs/`)
    await page.getByText('Make a key; its text is in this answer').first().waitFor()
    await page
      .getByRole('button', { name: /get.*\/api\/v1\/whoami/iu })
      .first()
      .click()
    await page.getByText('RFC 9457').first().waitFor()
    expect(refused).toEqual([])
    expect([...hosts]).toEqual([`127.0.0.1:${world.port}`])
  } finally {
    await browser.close()
    await world.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 10 })
  }
})
