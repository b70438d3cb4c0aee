/**
 * Owns the check of AWS Signature Version 4 as a server makes it, from the bytes that arrived. Shares nothing with the signer it judges.
 * Refuses unsigned `host` and `x-amz-*` headers, old dates, and scopes of another day, region or service.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface Expectation {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
  readonly service: string
}

const FORM =
  /^AWS4-HMAC-SHA256 Credential=(?<id>[^/,\s]+)\/(?<day>\d{8})\/(?<region>[^/,\s]+)\/(?<service>[^/,\s]+)\/aws4_request, ?SignedHeaders=(?<signed>[a-z0-9;-]+), ?Signature=(?<signature>[0-9a-f]{64})$/
const SKEW_MS = 300_000

/** The AWS error type of what is wrong, or undefined. */
export function signatureFault(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
  expected: Expectation,
): string | undefined {
  const parts = FORM.exec(request.headers.authorization ?? '')?.groups
  if (parts === undefined) return 'MissingAuthenticationTokenException'
  if (parts['id'] !== expected.accessKeyId) return 'UnrecognizedClientException'
  const date = String(request.headers['x-amz-date'])
  if (!isCurrent(date) || parts['day'] !== date.slice(0, 8)) return 'InvalidSignatureException'
  if (parts['region'] !== expected.region || parts['service'] !== expected.service) return 'InvalidSignatureException'
  const signed = parts['signed']!.split(';')
  const mustBe = Object.keys(request.headers).filter((name) => name === 'host' || name === 'content-type' || name.startsWith('x-amz-'))
  if (mustBe.some((name) => !signed.includes(name)) || signed.join() !== signed.toSorted().join()) return 'InvalidSignatureException'
  const right = Buffer.from(signatureOf(request, body, signed, date, expected), 'hex')
  return timingSafeEqual(right, Buffer.from(parts['signature']!, 'hex')) ? undefined : 'InvalidSignatureException'
}

function signatureOf(
  request: Pick<IncomingMessage, 'method' | 'url' | 'headers'>,
  body: Buffer,
  signed: readonly string[],
  date: string,
  expected: Expectation,
): string {
  const [path, query = ''] = request.url!.split('?')
  if (query !== '') throw new Error('this server is asked without a query')
  const lines = signed.map((name) => `${name}:${String(request.headers[name]).trim().replaceAll(/\s+/g, ' ')}\n`)
  // What was escaped in the path is escaped once more, but for S3.
  const escaped = path!.split('/').map(encodeURIComponent).join('/')
  const canonical = `${request.method}\n${escaped}\n\n${lines.join('')}\n${signed.join(';')}\n${sha256(body)}`
  const scope = `${date.slice(0, 8)}/${expected.region}/${expected.service}/aws4_request`
  let key: Buffer | string = `AWS4${expected.secretAccessKey}`
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  return createHmac('sha256', key)
    .update(`AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256(canonical)}`)
    .digest('hex')
}

function isCurrent(date: string): boolean {
  const [, y, mo, d, h, mi, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(date) ?? []
  return (
    s !== undefined && Math.abs(Date.UTC(Number(y), Number(mo) - 1, Number(d), Number(h), Number(mi), Number(s)) - Date.now()) < SKEW_MS
  )
}

function sha256(data: Buffer | string): string {
  return createHash('sha256').update(data).digest('hex')
}
