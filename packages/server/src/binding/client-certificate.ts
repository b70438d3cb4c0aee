/**
 * Owns reading the client's certificate: from the proxy that ended its TLS, or from the connection where TLS ends here. Refuses the header from anyone
 * but a trusted proxy, a second one, and one of several certificates: a proxy must replace what the client sent, never add to it.
 */
import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { sha256 } from '@sallyport/core'
import { clientCertificateOf, rawValues } from '../http/index.ts'

/** Which header the proxies set. `client-cert` is RFC 9440's, `x-forwarded-client-cert` Envoy's (its `Hash`). */
export type CertificateHeader = 'client-cert' | 'x-forwarded-client-cert'

const READERS: Readonly<Record<CertificateHeader, (value: string) => string | undefined>> = {
  'client-cert': fromByteSequence,
  'x-forwarded-client-cert': fromForwarded,
}

/** RFC 8705 section 3.1 thumbprint of the certificate: SHA-256 of its DER in base64url. Undefined when there is none that can be told. */
export function certificateThumbprint(rawHeaders: readonly string[], header: CertificateHeader): string | undefined {
  const [value, ...others] = rawValues(rawHeaders, header)
  return value === undefined || others.length > 0 ? undefined : READERS[header](value)
}

const shownOn = new WeakMap<Socket, string | undefined>()

/** The same of the certificate that the connection itself was opened with, where TLS ends here. Worked out once for each connection. */
export function connectionThumbprint(socket: Socket): string | undefined {
  if (shownOn.has(socket)) return shownOn.get(socket)
  const der = clientCertificateOf(socket)
  const thumbprint = der === undefined ? undefined : sha256(der).toString('base64url')
  shownOn.set(socket, thumbprint)
  return thumbprint
}

/** RFC 9440 section 2.2: the DER as one byte sequence of RFC 8941. */
function fromByteSequence(value: string): string | undefined {
  const base64 = /^:([A-Za-z0-9+/]{1,16000}={0,2}):$/u.exec(value.trim())?.[1]
  if (base64 === undefined) return undefined
  const der = Buffer.from(base64, 'base64')
  return isCertificate(der) ? sha256(der).toString('base64url') : undefined
}

function isCertificate(der: Buffer): boolean {
  try {
    return new X509Certificate(der).raw.equals(der)
  } catch {
    // Not a certificate: the same as none.
    return false
  }
}

/** Every quote has its other half. Asked first, since whoever looks for the end of each of many open quotes looks through the rest again each time. */
const QUOTED_WHOLE = /^(?:[^"]|"(?:[^"\\]|\\.)*")*$/u

/** Pairs `Key=value` between semicolons, values quoted where they must be; elements between commas, of which there may be one only. */
function fromForwarded(value: string): string | undefined {
  if (!QUOTED_WHOLE.test(value)) return undefined
  const pairs: readonly string[] = value.match(/(?:[^;,"]|"(?:[^"\\]|\\.)*")+|[;,]/gu) ?? []
  if (pairs.includes(',') || pairs.join('') !== value) return undefined
  const hashes = pairs.map((pair) => /^\s*Hash="?([0-9a-f]{64})"?\s*$/iu.exec(pair)?.[1]).filter((hash) => hash !== undefined)
  return hashes.length === 1 ? Buffer.from(hashes[0]!, 'hex').toString('base64url') : undefined
}
