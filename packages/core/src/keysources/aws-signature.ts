/**
 * Owns AWS Signature Version 4 for requests whose whole body is at hand: what is not S3 takes no signature over less. Refuses a path without a slash before it.
 * Judged by AWS's own vectors (aws-signature.test.ts).
 */
import { hmacKey, hmacSha256, sha256 } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'

/** Whose name calls are signed in. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret
  /** Of temporary credentials. */
  readonly sessionToken?: Secret | undefined
}

/** What is signed. */
export interface AwsRequest {
  /** `POST` when absent. */
  readonly method?: string
  /** As it is sent, with what follows a `?`; `/` when absent. */
  readonly target?: string
  readonly service: string
  readonly region: string
  /** As it will stand in the Host header: with the port when it isn't the scheme's own. */
  readonly host: string
  /** Signed as they are; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  /** Wall time, milliseconds since the epoch. */
  readonly at: number
}

/** The headers to send beside `host`: those given, the date, the session's token, the authorization. */
export function signAws(request: AwsRequest, credentials: AwsCredentials): Record<string, string> {
  const date = new Date(request.at).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const scope = [date.slice(0, 8), request.region, request.service, 'aws4_request']
  const { sessionToken } = credentials
  const headers: Record<string, string> = { ...request.headers, 'x-amz-date': date }
  if (sessionToken !== undefined) headers['x-amz-security-token'] = sessionToken.reveal()
  const entries = Object.entries({ ...headers, host: request.host }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const signed = entries.map(([name]) => name).join(';')
  const { method = 'POST', target = '/' } = request
  const [path, query] = canonicalTarget(target)
  const canonical = [
    method,
    path,
    query,
    ...entries.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/g, ' ')}`),
    '',
    signed,
    sha256(request.body).toString('hex'),
  ].join('\n')
  const toSign = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical).toString('hex')].join('\n')
  const signature = hmacSha256(signingKey(credentials.secretAccessKey, scope), toSign).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope.join('/')}, SignedHeaders=${signed}, Signature=${signature}`
  return { ...headers, authorization }
}

/** The path with everything escaped once more than it was sent, and the query's parameters in order, each escaped exactly once. @throws TypeError */
function canonicalTarget(target: string): readonly [path: string, query: string] {
  if (!target.startsWith('/')) throw new TypeError('a target without a slash before it')
  const mark = target.indexOf('?')
  const [path, query] = mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)]
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return [escaped(unescaped(name)), escaped(unescaped(value))] as const
    })
    .toSorted(([a, av], [b, bv]) => (a === b ? compared(av, bv) : compared(a, b)))
  return [path.split('/').map(escaped).join('/'), pairs.map((pair) => pair.join('=')).join('&')]
}

const compared = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** All but the unreserved characters of RFC 3986 section 2.3. */
function escaped(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** Text that is no escape of UTF-8 stays as it is: whoever is asked refuses it. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function signingKey(secret: Secret, scope: readonly string[]): ReturnType<typeof hmacKey> {
  return scope.reduce((key, part) => hmacKey(hmacSha256(key, part)), hmacKey(Buffer.from(`AWS4${secret.reveal()}`)))
}
