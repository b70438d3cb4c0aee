/**
 * Owns the words and the markup of the pages that people see while connecting. Refuses scripts, foreign resources and unescaped text: every
 * value goes through one tag function, and the policy below would stop what slipped through (battery O-20).
 */
import { createHash } from '@sallyport/core'

/** Markup that is already safe. Only `html` makes it. */
class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export interface Page {
  readonly body: string
  readonly contentSecurityPolicy: string
}

const STYLE = `
:root{color-scheme:light dark;--ink:#1a1f2b;--dim:#4b5263;--ground:#f4f5f8;--card:#fff;--line:#d5d9e2;--act:#1f4fd8;--on-act:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#eef1f8;--dim:#b3bac9;--ground:#12151c;--card:#1b1f29;--line:#363d4d;--act:#9db7ff;--on-act:#10131a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{width:min(30rem,calc(100vw - 2rem));margin:1rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}
h1{margin:0 0 1rem;font-size:1.375rem;line-height:1.3;overflow-wrap:anywhere}
p,ul,dl{margin:0 0 1rem}ul{padding-left:1.25rem}
code{font:.9375rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.code{display:block;padding:.75rem;border:1px solid var(--line);border-radius:.5rem;user-select:all}
.dim{color:var(--dim);font-size:.875rem}
button,.button{display:block;width:100%;padding:.75rem 1rem;border:0;border-radius:.5rem;background:var(--act);color:var(--on-act);font:600 1rem/1.25 system-ui,sans-serif;text-align:center;text-decoration:none;cursor:pointer}
button:focus-visible,a:focus-visible{outline:3px solid var(--act);outline-offset:3px}
`

const STYLE_HASH = createHash('sha256').update(STYLE, 'utf8').digest('base64')

/** Asks the person, naming who asks for what. The form's one field is the form token. */
export function askPage(options: {
  readonly application: string
  readonly provider: string
  readonly scopes: readonly string[]
  readonly environment: 'live' | 'test'
  readonly reconnect: boolean
  readonly formToken: string
  /** Origins that the form's answer may redirect through: Chromium holds redirects to `form-action` too. */
  readonly formOrigins: readonly string[]
}): Page {
  const { application, provider, scopes, environment, reconnect } = options
  const verb = reconnect ? 'reconnect' : 'connect'
  const content = html`<h1>${application} asks to ${verb} your ${provider} account</h1>
    ${scopes.length === 0 ? html`<p>${provider} will show what it asks for.</p>` : scopeList(provider, scopes)}
    <p>
      ${application} never sees your password or the key that ${provider} gives out: the key is kept sealed here, and calls are made with it
      on ${application}'s behalf.
    </p>
    ${environment === 'test' ? html`<p class="dim">This is a test environment of ${application}.</p>` : html``}
    <form method="post" autocomplete="off">
      <input type="hidden" name="form_token" value="${options.formToken}" />
      <button type="submit">Continue to ${provider}</button>
    </form>
    <p class="dim">If you did not expect this, close the page. Nothing happens until you continue.</p>`
  return page(`Connect ${provider}`, content, ["'self'", ...options.formOrigins])
}

/** Shows the code that the application asks for, when there is no address to return to. */
export function codePage(options: { readonly application: string; readonly provider: string; readonly code: string }): Page {
  const { application, provider, code } = options
  return page(
    `${provider} is almost connected`,
    html`<h1>Almost done</h1>
      <p>Copy this code into ${application} within 10 minutes to finish connecting ${provider}.</p>
      <p><code class="code">${code}</code></p>
      <p class="dim">The code works once, and only for you in ${application}. Give it to nobody else.</p>`,
  )
}

/** Ends a flow that a signed-in person began in the console. */
export function donePage(options: { readonly application: string; readonly provider: string; readonly missing: readonly string[] }): Page {
  const { application, provider, missing } = options
  const outcome =
    missing.length === 0
      ? html`<p>The account is ready to be used by ${application}. You can close this page.</p>`
      : html`<p>The account is connected, but ${provider} did not give everything that ${application} needs. Missing:</p>
          ${list(missing)}`
  return page(
    `${provider} is connected`,
    html`<h1>${provider} is connected</h1>
      ${outcome}`,
  )
}

/** What happened, what to do, and the id under which the operator finds the rest. */
export function errorPage(options: {
  readonly title: string
  readonly detail: string
  readonly code: string
  readonly requestId: string
  /** Where the application waits for the person; shown as a link. */
  readonly returnTo?: string | undefined
}): Page {
  const { title, detail, code, requestId, returnTo } = options
  return page(
    title,
    html`<h1>${title}</h1>
      <p>${detail}</p>
      ${returnTo === undefined ? html`` : html`<p><a class="button" href="${returnTo}" rel="noreferrer">Back to the application</a></p>`}
      <p class="dim">Code <code>${code}</code>, request <code>${requestId}</code></p>`,
  )
}

function scopeList(provider: string, scopes: readonly string[]): Markup {
  return html`<p>It asks ${provider} for:</p>
    ${list(scopes)}`
}

function list(items: readonly string[]): Markup {
  const entries = items.map((item) => html`<li><code>${item}</code></li>`.text).join('')
  return new Markup(`<ul>${entries}</ul>`)
}

function page(title: string, content: Markup, formAction: readonly string[] = ["'none'"]): Page {
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title} - Sallyport</title>
        ${new Markup(`<style>${STYLE}</style>`)}
      </head>
      <body>
        <main>${content}</main>
      </body>
    </html>`
  return {
    body: document.text,
    contentSecurityPolicy: `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action ${formAction.join(' ')}; frame-ancestors 'none'; base-uri 'none'`,
  }
}

/** A template whose values are escaped, unless they are markup themselves. */
function html(parts: TemplateStringsArray, ...values: readonly (string | Markup)[]): Markup {
  const filled = parts.map((part, index) => part + (index < values.length ? safe(values[index]!) : ''))
  return new Markup(filled.join(''))
}

function safe(value: string | Markup): string {
  return value instanceof Markup ? value.text : escaped(value)
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/gu, (character) => ENTITIES[character]!)
}
