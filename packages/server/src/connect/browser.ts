/**
 * Owns the cookie that ties a flow to the browser that began it (DESIGN 4.4, battery O-02), and the form token derived from it. Refuses a
 * request that carries the cookie twice: one of the two was planted.
 */
import { digestEquals, randomToken, Secret, sha256 } from '@sallyport/core'
import { cookieValues } from '../http/index.ts'

/** Longer than a state lives, so that the cookie never ends first. */
const MAX_AGE_S = 20 * 60
const VALUE = /^[\w-]{43}$/u

/** `__Host-` binds the cookie to this very host over https; plain http (development) can't use the prefix. */
export function browserCookieName(secure: boolean): string {
  return secure ? '__Host-sallyport_connect' : 'sallyport_connect'
}

export function newBrowserToken(): Secret {
  return new Secret(randomToken(32))
}

/** The browser's token, or undefined when the cookie is absent, doubled or not of our making. */
export function browserToken(rawHeaders: readonly string[], secure: boolean): Secret | undefined {
  const [token, ...others] = cookieValues(rawHeaders, browserCookieName(secure))
  return token === undefined || others.length > 0 || !VALUE.test(token.reveal()) ? undefined : token
}

/** A `Set-Cookie` value. SameSite=Lax: the provider's redirect is a top-level navigation, which Lax lets pass. */
export function browserCookie(token: Secret, secure: boolean): string {
  const attributes = `Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
  return `${browserCookieName(secure)}=${token.reveal()}; ${attributes}`
}

/** What is stored of the cookie. */
export function browserHash(token: Secret): Buffer {
  return sha256(token)
}

/** The hidden field of the page for one link: only a page that was given this browser's cookie can hold it. */
export function formToken(browser: Secret, link: Secret): string {
  return sha256('sallyport/connect-form/1', '\0', browser, '\0', link).toString('base64url')
}

export function isFormToken(given: string, browser: Secret, link: Secret): boolean {
  return digestEquals(Buffer.from(given, 'utf8'), Buffer.from(formToken(browser, link), 'utf8'))
}
