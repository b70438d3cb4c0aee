/** Owns what is wrong with a configured secret in itself. Refuses to repeat any part of one. */
import { isIP } from 'node:net'
import { CryptoError, isPrivateAddress, RootKeyring } from '@sallyport/core'
import type { Secret } from '@sallyport/core'
import { isLoopback } from './network-text.ts'

/** Passwords of examples, images and tutorials (battery X-01). */
const WELL_KNOWN_PASSWORDS = new Set([
  'postgres',
  'password',
  'changeme',
  'change-me',
  'secret',
  'example',
  'admin',
  'root',
  'test',
  'sallyport',
  'redis',
  'foobared',
  'mysecretpassword',
  'example-password',
  'passw0rd',
  'password1',
  'p@ssw0rd',
  'letmein',
  'qwerty',
  'guest',
  'default',
  'changeit',
  '123456',
  '12345678',
])
/** What servers of keys are told for a first try, and PINs that devices and their tutorials come with. */
const WELL_KNOWN_TO_HOLDERS = new Set([
  'myroot',
  'dev-only-token',
  'devtoken',
  '0000',
  '1111',
  '1234',
  '4321',
  '12345',
  '00000000',
  '11111111',
  'userpin',
  'user1234',
])
/** Amazon's documentation ends its made-up credentials with this. */
const DOCUMENTED_CREDENTIAL = /EXAMPLE(?:KEY)?$/u

export function rootKeyFaults(value: Secret): readonly string[] {
  try {
    RootKeyring.parse(value)
    return []
  } catch (error) {
    if (error instanceof CryptoError && error.code === 'key_invalid') return error.faults.map((fault) => `is refused: ${fault}`)
    throw error
  }
}

export function postgresUrlFaults(value: Secret): readonly string[] {
  return urlFaults(value, ['postgres:', 'postgresql:'], 'must be a URL like postgres://user@host:5432/database')
}

/** What the accelerator would refuse later, in every mode, but for TLS, which is judged with the other stores'. */
export function redisUrlFaults(value: Secret): readonly string[] {
  const expectation = 'must be a URL like rediss://user:password@host:6379/0'
  const faults = urlFaults(value, ['redis:', 'rediss:'], expectation)
  const url = URL.parse(value.reveal())
  if (faults.length > 0 || url === null) return faults
  if (url.hostname === '' || url.search !== '' || !/^\/?\d{0,4}$/u.test(url.pathname)) return [expectation]
  if (isLoopback(url.hostname)) return []
  return url.password === '' ? ['must have a password towards another host'] : []
}

/** Battery X-01. */
export function wellKnownPasswordFaults(value: Secret): readonly string[] {
  const url = URL.parse(value.reveal())
  if (url === null || !isDecodable(url)) return []
  const [user, password] = [url.username, url.password].map((part) => decodeURIComponent(part).toLowerCase()) as [string, string]
  if (WELL_KNOWN_PASSWORDS.has(password)) return ['has a password that examples use']
  return password !== '' && password === user ? ['has its user name as its password'] : []
}

/** The same of what opens a holder of root keys. */
export function wellKnownHolderFaults(value: Secret): readonly string[] {
  const text = value.reveal().trim()
  const known = WELL_KNOWN_PASSWORDS.has(text.toLowerCase()) || WELL_KNOWN_TO_HOLDERS.has(text.toLowerCase())
  return known || DOCUMENTED_CREDENTIAL.test(text) ? ['is one that examples use'] : []
}

/**
 * Why an address leads over a network without verified TLS (battery X-04).
 * @param allowed whether the operator means it; never for an address that is seen to be in no network of ours. Names are judged when they are resolved.
 */
export function plaintextFaults(value: Secret, allowed: boolean): readonly string[] {
  const host = plaintextHost(value)
  if (host === undefined) return []
  if (allowed)
    return isIP(host) !== 0 && !isPrivateAddress(host) ? ['must use verified TLS towards a public address, whatever is allowed'] : []
  return value.reveal().startsWith('redis')
    ? ['must use TLS towards another host (rediss://)']
    : ['must use verified TLS towards another host in production (sslmode=verify-full)']
}

/** The host that an address leads to over a network without verified TLS; undefined for this machine, for TLS, and for what is no address. */
export function plaintextHost(value: Secret): string | undefined {
  const url = URL.parse(value.reveal())
  if (url === null) return undefined
  const host = decodeURIComponent(url.searchParams.get('host') ?? url.hostname).replace(/^\[(.*)\]$/u, '$1')
  const tls = url.protocol.startsWith('redis')
    ? url.protocol === 'rediss:'
    : (url.searchParams.get('sslmode') ?? 'verify-full') === 'verify-full'
  return tls || isLoopback(host) || host.startsWith('/') || host === '' ? undefined : host
}

function urlFaults(value: Secret, protocols: readonly string[], expectation: string): readonly string[] {
  const url = URL.parse(value.reveal())
  if (url === null || !protocols.includes(url.protocol)) return [expectation]
  return isDecodable(url) ? [] : ['has a percent sign that encodes nothing']
}

function isDecodable(url: URL): boolean {
  try {
    decodeURIComponent(`${url.username}${url.password}${url.hostname}${url.pathname}${url.searchParams.get('host') ?? ''}`)
    return true
  } catch {
    return false
  }
}
