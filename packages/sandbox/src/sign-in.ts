/**
 * Completes the sandbox's sign-in page the way a browser would, over plain HTTP: reads the forms of the page, picks the account, submits its
 * form. For tests and for the first start, which act as the person at the browser.
 */

/**
 * Opens `authorizationUrl`, signs `user` in, and gives where the provider sends the browser next: the application's redirect URI with `code`
 * and `state`. The redirect is not followed.
 * @throws Error with the status when the provider shows no page, or the page offers no such account.
 */
export async function signIn(authorizationUrl: string, user: string): Promise<string> {
  const shown = await fetch(authorizationUrl, { redirect: 'manual' })
  const html = await shown.text()
  if (shown.status !== 200) throw new Error(`The sandbox answered its authorization page with ${shown.status}.`)
  const form = readForms(html).find(({ fields }) => fields.login === user || fields.email === user)
  if (form === undefined) throw new Error(`The sandbox's sign-in page offers no account ${user}.`)
  const chosen = await fetch(new URL(form.action, authorizationUrl), {
    method: 'POST',
    body: new URLSearchParams(form.fields),
    redirect: 'manual',
  })
  const location = chosen.headers.get('location')
  if (location === null) throw new Error(`The sandbox answered the sign-in form with ${chosen.status}.`)
  return location
}

/** The forms of a page: action (empty: the page's own address), and names and values of their inputs. */
export function readForms(html: string): { action: string; fields: Record<string, string> }[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/g)].map(([, attributes = '', inside = '']) => ({
    action: attribute(attributes, 'action'),
    fields: Object.fromEntries(
      [...inside.matchAll(/<input\b([^>]*)>/g)].map(([, input = '']) => [attribute(input, 'name'), attribute(input, 'value')]),
    ),
  }))
}

const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&amp;': '&' }

function attribute(tag: string, name: string): string {
  const raw = new RegExp(`\\b${name}="([^"]*)"`).exec(tag)?.[1] ?? ''
  return raw.replace(/&(?:lt|gt|quot|#39|amp);/g, (entity) => ENTITIES[entity] ?? entity)
}
