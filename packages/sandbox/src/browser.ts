/**
 * The least of a browser that a connect needs: the cookies of one origin, the Origin header, forms, and redirects that are looked at before they are
 * followed. It stands for the reader at the first start. It keeps nothing on disk.
 */
import { readForms } from './sign-in.ts'

/** A `fetch` that sends and keeps the cookies of `origin` (attributes are ignored but for removal), and follows no redirect. */
export function browserFor(origin: string): typeof fetch {
  const jar = new Map<string, string>()
  return async (input, init) => {
    const request = new Request(input, { ...init, redirect: 'manual' })
    if (new URL(request.url).origin !== origin) return await fetch(request)
    if (jar.size > 0) request.headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '))
    if (request.method !== 'GET') request.headers.set('origin', origin)
    const response = await fetch(request)
    keepCookies(jar, response)
    return response
  }
}

/**
 * Opens a page, submits its first form unchanged, and gives where that redirects.
 * @throws Error with the status when there is no page, no form or no redirect.
 */
export async function submitFirstForm(browser: typeof fetch, page: string): Promise<string> {
  const shown = await browser(page)
  const [form] = readForms(await shown.text())
  if (shown.status !== 200 || form === undefined)
    throw new Error(`The page at ${new URL(page).origin} answered ${shown.status} and no form.`)
  const answer = await browser(new URL(form.action, page), { method: 'POST', body: new URLSearchParams(form.fields) })
  const location = answer.headers.get('location')
  if (location === null) throw new Error(`The form at ${new URL(page).origin} was answered with ${answer.status}.`)
  return new URL(location, page).href
}

function keepCookies(jar: Map<string, string>, response: Response): void {
  for (const cookie of response.headers.getSetCookie()) {
    const [pair = '', ...attributes] = cookie.split(';')
    const equals = pair.indexOf('=')
    const name = pair.slice(0, equals).trim()
    const removed = attributes.some((attribute) => attribute.trim().toLowerCase() === 'max-age=0') || pair.length === equals + 1
    if (removed) jar.delete(name)
    else jar.set(name, pair.slice(equals + 1))
  }
}
