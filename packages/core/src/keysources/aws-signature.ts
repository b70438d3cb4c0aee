/**
 * Owns AWS Signature Version 4 for the one form of request that is sent here: POST to `/`, no query, the whole body at hand. Refuses to sign
 * anything else. Judged by AWS's own vectors (aws-signature.test.ts).
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

export interface AwsRequest {
  readonly service: string
  readonly region: string
  /** As it will stand in the Host header: with the port when it isn't the scheme's own. */
  readonly host: string
  /** Signed as they are; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
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
  const canonical = [
    'POST',
    '/',
    '',
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

function signingKey(secret: Secret, scope: readonly string[]): ReturnType<typeof hmacKey> {
  return scope.reduce((key, part) => hmacKey(hmacSha256(key, part)), hmacKey(Buffer.from(`AWS4${secret.reveal()}`)))
}
