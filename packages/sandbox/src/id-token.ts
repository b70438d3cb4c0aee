/**
 * Signs the sandbox's own id tokens. The emulator's carry a subject that changes at every start, so the front corrects the claims and signs
 * again with a key of its own, which its JWKS publishes. It verifies nothing: the token comes straight from the emulator.
 */
import { generateKeyPair, randomBytes, sign } from 'node:crypto'
import { promisify } from 'node:util'

export interface IdTokenSigner {
  jwks: { keys: Record<string, unknown>[] }
  /** Gives the same claims with `changes` applied, signed RS256 (RFC 7515). */
  resign(token: string, changes: Record<string, unknown>): string
}

export async function createIdTokenSigner(): Promise<IdTokenSigner> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  // A fresh id per process: a verifier that cached the last process's key must fetch again.
  const kid = `sandbox-${randomBytes(8).toString('hex')}`
  const header = encode({ alg: 'RS256', typ: 'JWT', kid })
  return {
    jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] },
    resign(token, changes) {
      const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>
      const signed = `${header}.${encode({ ...claims, ...changes })}`
      return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
    },
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
