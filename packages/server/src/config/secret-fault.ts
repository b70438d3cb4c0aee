/** Owns what is wrong with a configured secret in itself. Refuses to repeat any part of one. */
import { CryptoError, RootKeyring } from '@sallyport/core'
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
])

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

/** What the accelerator would refuse later. In every mode: towards another host nothing of ours may go without TLS, or to whoever answers. */
export function redisUrlFaults(value: Secret): readonly string[] {
  const expectation = 'must be a URL like rediss://user:password@host:6379/0'
  const faults = urlFaults(value, ['redis:', 'rediss:'], expectation)
  const url = URL.parse(value.reveal())
  if (faults.length > 0 || url === null) return faults
  if (url.hostname === '' || url.search !== '' || !/^\/?\d{0,4}$/u.test(url.pathname)) return [expectation]
  if (isLoopback(url.hostname)) return []
  return [
    ...(url.protocol === 'rediss:' ? [] : ['must use TLS towards another host (rediss://)']),
    ...(url.password === '' ? ['must have a password towards another host'] : []),
  ]
}

/** Why a store's address isn't good enough for production: example passwords, and other hosts without verified TLS (battery ). */
export function productionUrlFaults(value: Secret): readonly string[] {
  const url = URL.parse(value.reveal())
  if (url === null) return []
  const host = decodeURIComponent(url.searchParams.get('host') ?? url.hostname)
  // Of Redis that was asked in every mode.
  const tls = url.protocol.startsWith('redis') || (url.searchParams.get('sslmode') ?? 'verify-full') === 'verify-full'
  return [
    ...(WELL_KNOWN_PASSWORDS.has(decodeURIComponent(url.password).toLowerCase()) ? ['has a password that examples use'] : []),
    ...(tls || isLoopback(host) || host.startsWith('/')
      ? []
      : ['must use verified TLS towards another host in production (sslmode=verify-full)']),
  ]
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
