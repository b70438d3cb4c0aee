/**
 * Owns what counts as an e-mail address here, and whose domain it is. Refuses every spelling that two programs could read differently: quotes,
 * comments, addresses in angle brackets, letters beyond ASCII (a domain in punycode is the domain that it spells and no other; battery J-14).
 */

/** RFC 5322's dot-atom, without its folding and comments. */
const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/u
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u
const MAX_LOCAL = 64
const MAX_DOMAIN = 253

/** The address in lower case, as it is stored and compared; undefined for what is none. */
export function emailAddress(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const [local = '', domain = '', ...more] = asciiLower(text).split('@')
  const whole = more.length === 0 && local.length <= MAX_LOCAL && LOCAL.test(local) && isDomain(domain)
  return whole ? `${local}@${domain}` : undefined
}

/** The domain of an address that `emailAddress` gave. */
export function emailDomain(address: string): string {
  return address.slice(address.indexOf('@') + 1)
}

/** A whole domain name of at least two labels, in lower case. Its subdomains are other domains. */
export function isDomain(text: string): boolean {
  const labels = text.split('.')
  return text.length <= MAX_DOMAIN && labels.length >= 2 && labels.every((label) => LABEL.test(label)) && !/^\d+$/u.test(labels.at(-1)!)
}

/** ASCII alone: the Kelvin sign would become a k in any other. */
function asciiLower(text: string): string {
  return text.replaceAll(/[A-Z]/gu, (letter) => letter.toLowerCase())
}
