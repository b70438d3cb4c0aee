/**
 * Owns who sells access tokens to Google's service accounts (RFC 7523 section 2.1), and one such account. Refuses an assertion that the account did not sign,
 * or that is meant for somebody else or another time.
 */
import { createVerify, generateKeyPairSync } from 'node:crypto'
import type { KeyPairKeyObjectResult } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

export const TOKEN_PATH = '/google-token'

const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const PROJECT = 'a-project'
const EMAIL = `sandbox@${PROJECT}.iam.example`
const LONGEST_LIFE_S = 3_600

export interface AccessTokens {
  /** The account's file, as Google gives it. Its key is made when it is first asked for. */
  account(): string
  /** Answers a request for a token; false: it is none. */
  sell(request: IncomingMessage, response: ServerResponse): boolean
  sold(): number
}

/** Every token that is sold is `token`. */
export function accessTokens(token: string): AccessTokens {
  let keys: KeyPairKeyObjectResult | undefined
  let sold = 0
  const pair = (): KeyPairKeyObjectResult => (keys ??= generateKeyPairSync('rsa', { modulusLength: 2048 }))
  const isSigned = (signed: string, signature: string): boolean =>
    createVerify('RSA-SHA256').update(signed).verify(pair().publicKey, Buffer.from(signature, 'base64url'))
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const fault = faultOf(new URLSearchParams(await textOf(request)), `http://${request.headers.host}${TOKEN_PATH}`, isSigned)
    if (fault === undefined) sold += 1
    const body = fault === undefined ? { access_token: token, expires_in: 3_599, token_type: 'Bearer' } : { error: fault }
    response.writeHead(fault === undefined ? 200 : 400, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
  return {
    account: () => fileOf(pair().privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
    sold: () => sold,
    sell(request, response) {
      if (request.url !== TOKEN_PATH) return false
      void answer(request, response).catch(() => response.destroy())
      return true
    },
  }
}

function fileOf(private_key: string): string {
  // Nobody is to be asked where the file says.
  const token_uri = 'http://127.0.0.1:1/never'
  return JSON.stringify({
    type: 'service_account',
    project_id: PROJECT,
    private_key_id: 'sandbox',
    private_key,
    client_email: EMAIL,
    token_uri,
  })
}

function faultOf(form: URLSearchParams, audience: string, isSigned: (signed: string, signature: string) => boolean): string | undefined {
  const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.')
  if (form.get('grant_type') !== GRANT) return 'unsupported_grant_type'
  if (!isSigned(`${header}.${claims}`, signature)) return 'invalid_grant'
  const { iss, aud, scope, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<string, unknown>
  if (iss !== EMAIL || aud !== audience || Number(exp) - Number(iat) > LONGEST_LIFE_S) return 'invalid_grant'
  return scope === SCOPE ? undefined : 'invalid_scope'
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  return Buffer.concat(pieces).toString()
}
