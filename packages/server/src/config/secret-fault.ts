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

export function redisUrlFaults(value: Secret): readonly string[] {
  return urlFaults(value, ['redis:', 'rediss:'], 'must be a URL like rediss://host:6379')
}

/** Why a store's address isn't good enough for production: example passwords, and other hosts without verified TLS (battery ). */
export function productionUrlFaults(value: Secret): readonly string[] {
  const url = URL.parse(value.reveal())
  if (url === null) return []
  const host = decodeURIComponent(url.searchParams.get('host') ?? url.hostname)
  const tls =
    url.protocol === 'rediss:' ||
    (url.protocol.startsWith('postgres') && (url.searchParams.get('sslmode') ?? 'verify-full') === 'verify-full')
  return [
    ...(WELL_KNOWN_PASSWORDS.has(decodeURIComponent(url.password).toLowerCase()) ? ['has a password that examples use'] : []),
    ...(tls || isLoopback(host) || host.startsWith('/')
      ? []
      : ['must use verified TLS towards another host in production (sslmode=verify-full, rediss://)']),
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
