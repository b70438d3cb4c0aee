/**
 * Owns a person's browser: a real Chromium with a fresh profile, and a record of everything that a careful page must not do. Refuses nothing
 * itself: the tests look at the record.
 */
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, ConsoleMessage, Page, Request } from 'playwright-core'

/** Chromium's own sandbox needs rights that root in a container often lacks; everything loaded here is ours. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export function openChromium(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: FLAGS })
}

export interface Visitor {
  readonly context: BrowserContext
  readonly page: Page
  /**
   * What pages of the gateway did wrong, in order: errors and warnings in the console, scripts that threw, breaches of the content policy,
   * requests to anywhere else.
   */
  readonly faults: string[]
}

/** Somebody with a fresh profile. `origin` is the gateway's; pages of other origins are visited without being judged. */
export async function newVisitor(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options })
  const faults: string[] = []
  await context.exposeBinding('reportBreach', ({ frame }, breach: string) => {
    if (originOf(frame.url()) === origin) faults.push(`content policy: ${breach}`)
  })
  await context.addInitScript({
    content: "addEventListener('securitypolicyviolation', (event) => reportBreach(event.violatedDirective + ' ' + event.blockedURI))",
  })
  context.on('weberror', (thrown) => void faults.push(`script: ${thrown.error().message}`))
  context.on('console', (message) => void faults.push(...consoleFault(message, origin)))
  context.on('request', (request) => void faults.push(...foreignRequest(request, origin)))
  return { context, page: await context.newPage(), faults }
}

/** How a fault reads that stands for an answer from 400 up; Chromium reports each of them, expected or not. */
export function failedAnswer(status: number, path: string): string {
  return `console: ${status} ${path}`
}

function consoleFault(message: ConsoleMessage, origin: string): string[] {
  const { url } = message.location()
  if (!['error', 'warning'].includes(message.type()) || (url !== '' && originOf(url) !== origin)) return []
  const status = /^Failed to load resource: .* status of (\d+)/u.exec(message.text())?.[1]
  return [status === undefined ? `console: ${message.text()}` : failedAnswer(Number(status), new URL(url).pathname)]
}

/** A page of the gateway asks the gateway alone; leaving it, for the provider's page, is a navigation. */
function foreignRequest(request: Request, origin: string): string[] {
  const url = new URL(request.url())
  if (request.isNavigationRequest() || url.protocol === 'data:' || originOf(request.frame().url()) !== origin) return []
  return url.origin === origin ? [] : [`request to ${url.origin}`]
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}

/** Breaches of axe's rules on the page as it stands, one line each. */
export async function axeFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze()
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} at ${target.join(' ')}: ${failureSummary}`))
}

/** Pixels by which the page is wider than the window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}
