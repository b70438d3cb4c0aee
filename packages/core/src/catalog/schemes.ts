/** Owns which schemes of authorization a record offers. Refuses to guess: what a record does not say is not offered. */
import type { ApiRecord } from './schema.ts'

/**
 * - `authorization_code`: a person signs in through a browser (RFC 6749 section 4.1, RFC 7636), and tokens are renewed (section 6).
 * - `device_code`: a person types a code in on another device (RFC 8628).
 * - `client_credentials`: the application speaks for itself (RFC 6749 section 4.4).
 * - `oauth1`: a person signs in through a browser, and each request is signed (RFC 5849).
 * - `api_key`, `basic`: a key, or a name and a password (RFC 7617), that the application hands over.
 * - `none`: nothing is sent.
 */
export const SCHEMES = ['authorization_code', 'device_code', 'client_credentials', 'oauth1', 'api_key', 'basic', 'none'] as const

/** One of `SCHEMES`. */
export type Scheme = (typeof SCHEMES)[number]

/** The first is taken where a configuration names none. */
export function schemesOf({ oauth, oauth1, userinfo, credential }: ApiRecord): readonly Scheme[] {
  const offered: Readonly<Record<Scheme, boolean>> = {
    authorization_code: oauth?.authorizationEndpoint !== undefined && userinfo !== undefined,
    device_code: oauth?.deviceAuthorizationEndpoint !== undefined && userinfo !== undefined,
    client_credentials: oauth?.clientCredentials === true,
    oauth1: oauth1 !== undefined && userinfo !== undefined,
    api_key: credential === 'api_key',
    basic: credential === 'basic',
    none: credential === 'none',
  }
  return SCHEMES.filter((scheme) => offered[scheme])
}
