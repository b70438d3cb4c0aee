/**
 * Owns the key pairs with which this side proves itself to a provider (RFC 9449): P-256 keys that sign by ES256, written as JWKs (RFC 7517).
 * Refuses every other kind of key, and to give the private part to anything but a sealed credential.
 */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { Secret } from '../kernel/index.ts'
import { sha256 } from './digest.ts'
import { CryptoError } from './errors.ts'

/** What stands in a proof's header. Members in the order of RFC 7638 section 3.2. */
export interface PublicProofKey {
  readonly crv: 'P-256'
  readonly kty: 'EC'
  readonly x: string
  readonly y: string
}

/** The private key, member by member; 43 base64url digits each. */
export interface ProofKeyMembers extends PublicProofKey {
  readonly d: string
}

/** A key pair that proves possession (RFC 9449), opened for signing. */
export interface ProofKey {
  readonly publicKey: PublicProofKey
  /** ES256 (RFC 7518 section 3.4) over ASCII text: 86 base64url digits. */
  sign(input: string): string
}

const COORDINATE = /^[\w-]{43}$/u
const MEMBERS = 5

/** A new pair, as the text of its private JWK. */
export function generateProofKey(): Secret {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return new Secret(JSON.stringify(ordered(privateKey.export({ format: 'jwk' }) as unknown as ProofKeyMembers)))
}

/** The pair behind the text. Costs about as much as a signature; nothing of it is kept here. @throws CryptoError `key_invalid`, saying nothing of the text. */
export function openProofKey(text: Secret): ProofKey {
  const { d, ...publicKey } = proofKeyMembers(text)
  const key = privateKeyOf({ ...publicKey, d })
  return {
    publicKey,
    sign: (input) => sign('sha256', Buffer.from(input, 'ascii'), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  }
}

/** The members of the text, in their one order. @throws CryptoError `key_invalid` */
export function proofKeyMembers(text: Secret): ProofKeyMembers {
  const members = parsed(text)
  if (!isProofKey(members)) throw invalid()
  return ordered(members)
}

/** Whether a parsed value has exactly a private P-256 JWK's members; whether its point lies on the curve shows when it is opened. */
export function isProofKey(value: unknown): value is ProofKeyMembers {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== MEMBERS) return false
  const { kty, crv, x, y, d } = value as Record<string, unknown>
  return kty === 'EC' && crv === 'P-256' && [x, y, d].every((member) => typeof member === 'string' && COORDINATE.test(member))
}

/** RFC 7638: the name of a public key, by which tokens and gateway keys are bound to it. 43 base64url digits. */
export function proofKeyThumbprint({ crv, kty, x, y }: PublicProofKey): string {
  return sha256(JSON.stringify({ crv, kty, x, y })).toString('base64url')
}

function ordered({ crv, kty, x, y, d }: ProofKeyMembers): ProofKeyMembers {
  return { crv, kty, x, y, d }
}

function privateKeyOf(members: ProofKeyMembers): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey({ format: 'jwk', key: { ...members } })
  } catch {
    // The library's error may quote what it read.
    throw invalid()
  }
}

function parsed(text: Secret): unknown {
  try {
    return JSON.parse(text.reveal())
  } catch {
    return undefined
  }
}

function invalid(): CryptoError {
  return new CryptoError('key_invalid', 'a proof key is not a private P-256 key', ['is not a private P-256 key'])
}
