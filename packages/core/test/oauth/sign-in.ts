/** Owns a person's part at the certified server of these tests: its development pages take any name and ask for a yes. */

/** Goes through the server's own development pages as a browser would, to the query of the redirect back to us. */
export async function signIn(url: string, redirectUri: string): Promise<string> {
  const ask = newBrowser()
  let next = url
  let init: Sent = {}
  for (let step = 0; step < 12; step++) {
    const { answer, location } = await ask(next, init)
    if (location?.startsWith(redirectUri)) return new URL(location).search.slice(1)
    init = location === null ? form(await answer.text()) : {}
    next = location === null ? next : new URL(location, next).href
  }
  throw new Error('the sign-in did not come to an end')
}

/**
 * Goes through the pages that a device's code leads to: the code is confirmed, then signed in and agreed to. `link` has the code in it. With `no`
 * the person refuses.
 */
export async function agreeOnDevice(link: string, no = false): Promise<void> {
  const ask = newBrowser()
  let next = link
  let init: Sent = {}
  for (let step = 0; step < 15; step++) {
    const { answer, location } = await ask(next, init)
    if (location !== null) {
      next = new URL(location, next).href
      init = {}
      continue
    }
    const page = await answer.text()
    // What follows a refusal is a page for the next code.
    if (!page.includes('<form') || init.body?.includes('abort=yes') === true) return
    const action = /<form[^>]* action="(?<action>[^"]+)"/u.exec(page)?.groups?.['action']
    init = page.includes('name="xsrf"') ? deviceForm(page, no) : form(page)
    next = action === undefined ? next : new URL(action, next).href
  }
  throw new Error('the device was never agreed to')
}

/** Asks with the cookies that earlier answers set, and follows no redirect. */
function newBrowser(): (url: string, init: Sent) => Promise<{ readonly answer: Response; readonly location: string | null }> {
  const cookies = new Map<string, string>()
  return async (url, init) => {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const answer = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const set of answer.headers.getSetCookie()) remember(cookies, set)
    return { answer, location: answer.headers.get('location') }
  }
}

function deviceForm(page: string, no: boolean): Sent {
  const value = (name: string): string =>
    new RegExp(`value="([^"]*)"[^>]*name="${name}"|name="${name}" value="([^"]*)"`, 'u').exec(page)?.slice(1).find(Boolean) ?? ''
  const body = new URLSearchParams({ xsrf: value('xsrf'), user_code: value('user_code'), ...(no ? { abort: 'yes' } : { confirm: 'yes' }) })
  return { method: 'POST', body: body.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }
}

interface Sent {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** The login page wants any name, the consent page only a yes. */
function form(page: string): Sent {
  const prompt = /name="prompt" value="(?<prompt>\w+)"/u.exec(page)?.groups?.['prompt'] ?? ''
  const body = new URLSearchParams(prompt === 'login' ? { prompt, login: 'grace', password: 'any' } : { prompt })
  return { method: 'POST', body: body.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } }
}

function remember(cookies: Map<string, string>, header: string): void {
  const [pair = ''] = header.split(';')
  const [name = '', value = ''] = pair.split('=')
  if (value === '') cookies.delete(name)
  else cookies.set(name, value)
}
