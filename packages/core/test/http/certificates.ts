/**
 * Owns throw-away X.509 certificates for TLS tests, made at run time so that none lies in the repository and none expires there.
 * Writes just enough DER (X.690) and RFC 5280: version 3, P-256, subject alternative name, basic constraints.
 */
import { createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export interface Certificate {
  readonly cert: string
  readonly key: string
  readonly subject: string
  readonly privateKey: KeyObject
}

export interface CertificateRequest {
  readonly subject: string
  readonly names?: readonly string[]
  /** Absent for a self-signed certificate. */
  readonly issuer?: Certificate
  readonly authority?: boolean
  readonly notBefore?: Date
  readonly notAfter?: Date
}

const DAY_MS = 86_400_000

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const length = Buffer.from(content.length.toString(16).padStart(4, '0'), 'hex')
  return Buffer.concat([Buffer.from([tag, 0x82]), length, content])
}
const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const object = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const time = (date: Date) => der(0x18, Buffer.from(date.toISOString().replace(/[-:T]|\.\d+/g, '')))
const commonName = (name: string) => sequence(der(0x31, sequence(object('550403'), der(0x0c, Buffer.from(name)))))
const extension = (id: string, value: Buffer) => sequence(object(id), der(0x01, Buffer.from([0xff])), der(0x04, value))

const ECDSA_SHA256 = sequence(object('2a8648ce3d040302'))
const ALT_NAME = '551d11'
const BASIC_CONSTRAINTS = '551d13'

/** A certificate and its key, valid for a day unless said otherwise. */
export function makeCertificate({ subject, names = [], issuer, authority = false, ...span }: CertificateRequest): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const extensions = [extension(BASIC_CONSTRAINTS, authority ? sequence(der(0x01, Buffer.from([0xff]))) : sequence())]
  if (names.length > 0) extensions.push(extension(ALT_NAME, sequence(...names.map((name) => der(0x82, Buffer.from(name))))))
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ECDSA_SHA256,
    commonName(issuer?.subject ?? subject),
    sequence(time(span.notBefore ?? new Date(Date.now() - DAY_MS)), time(span.notAfter ?? new Date(Date.now() + DAY_MS))),
    commonName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = createSign('sha256')
    .update(body)
    .sign(issuer?.privateKey ?? privateKey)
  const whole = sequence(body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString('base64').match(/.{1,64}/g)!
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    subject,
    privateKey,
  }
}
