import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { askPage, codePage, donePage, errorPage } from './page.ts'

const HOSTILE = `"><script>alert('x')</script><img src=x onerror=alert(1)> & {{7*7}} \${1}`
const asked = {
  application: 'App',
  provider: 'GitHub',
  scopes: ['repo'],
  environment: 'test',
  reconnect: false,
  formToken: 'T',
  formOrigins: ['https://github.com'],
} as const

const pages = {
  ask: askPage({ ...asked, application: HOSTILE, provider: HOSTILE, scopes: [HOSTILE] }),
  code: codePage({ application: HOSTILE, provider: HOSTILE, code: HOSTILE }),
  done: donePage({ application: HOSTILE, provider: HOSTILE, missing: [HOSTILE] }),
  error: errorPage({ title: HOSTILE, detail: HOSTILE, code: HOSTILE, requestId: HOSTILE, returnTo: `https://app.test/?q=${HOSTILE}` }),
}

describe.each(Object.entries(pages))('the %s page', (_name, { body, contentSecurityPolicy }) => {
  it('O-20 shows hostile text as text', () => {
    expect(body).not.toMatch(/<script|<img|onerror=alert\(1\)>/u)
    expect(body).toContain('&lt;script&gt;')
  })

  it('has no script, no foreign resource, and a policy that would stop both', () => {
    const markup = body.replaceAll(/"[^"]*"/gu, '""')
    expect(markup).not.toMatch(/<(?:script|link|iframe|object|base)\b|<[^>]*\b(?:src|on\w+)=|@import|url\(/iu)
    expect(contentSecurityPolicy).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; form-action /u)
    expect(contentSecurityPolicy).toContain("frame-ancestors 'none'; base-uri 'none'")
    expect(contentSecurityPolicy).not.toMatch(/unsafe|\*/u)
  })

  it('allows the style that it carries, and no attribute of style', () => {
    const style = /<style>(?<style>[\s\S]*?)<\/style>/u.exec(body)?.groups?.['style'] ?? ''
    expect(contentSecurityPolicy).toContain(createHash('sha256').update(style).digest('base64'))
    expect(body).not.toMatch(/ style=/u)
  })

  it('is a whole document with a language, a title and one heading', () => {
    expect(body).toMatch(/^<!doctype html>/u)
    expect(body).toContain('<html lang="en">')
    expect(body.match(/<h1>/gu)).toHaveLength(1)
    expect(body).toMatch(/<title>[^<]+<\/title>/u)
  })
})

describe('the page that asks', () => {
  it('says who asks, whom, for what, and that the application never sees the key', () => {
    const { body } = askPage(asked)
    expect(body).toContain('App asks to connect your GitHub account')
    expect(body).toContain('<code>repo</code>')
    expect(body).toMatch(/never sees your password or the key/u)
  })

  it('may send its form here and to where the answer redirects, and nowhere else', () => {
    expect(askPage(asked).contentSecurityPolicy).toContain("form-action 'self' https://github.com;")
    expect(codePage({ application: 'App', provider: 'GitHub', code: 'c' }).contentSecurityPolicy).toContain("form-action 'none';")
  })
})
