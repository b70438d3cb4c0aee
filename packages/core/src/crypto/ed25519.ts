/**
 * Owns Ed25519 (RFC 8032): keys by which this installation vouches for what it wrote, and the check of such a signature by anyone. Refuses
 * every other algorithm, seeds that can't have been random, and to give a seed back.
 */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { CryptoError } from './errors.ts'
import { keyWeakness } from './weakness.ts'

/** Bytes of a seed and of a public key. */
const KEY_BYTES = 32
const SIGNATURE_BYTES = 64
/** What stands before the bytes in PKCS #8 and in SPKI for this algorithm (RFC 8410 sections 4 and 7): both have one length only. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** Signs with one private key (RFC 8032), which never leaves it. */
export interface Ed25519Signer {
  /** 32 bytes (RFC 8032 section 5.1.5). */
  readonly publicKey: Buffer
  /** 64 bytes. The same message gives the same signature. */
  sign(message: Uint8Array): Buffer
}

/** Judges signatures by one public key (RFC 8032). */
export interface Ed25519Verifier {
  /** False for a signature of another length, too. */
  verify(message: Uint8Array, signature: Uint8Array): boolean
}

/** The pair of a 32-byte seed. Copies; wiping `seed` stays with the caller. @throws CryptoError `key_invalid`. */
export function ed25519Signer(seed: Uint8Array): Ed25519Signer {
  const weakness = seed.length === KEY_BYTES ? keyWeakness(seed) : `is not ${KEY_BYTES} bytes`
  if (weakness !== undefined) throw new CryptoError('key_invalid', `signing key ${weakness}`, [weakness])
  const der = Buffer.concat([PKCS8, seed])
  try {
    const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
    return { publicKey: spki.subarray(SPKI.length), sign: (message) => sign(null, message, key) }
  } finally {
    der.fill(0)
  }
}

/** Whoever checks many signatures by one key makes this once. @throws CryptoError `key_invalid` for other than 32 bytes. */
export function ed25519Verifier(publicKey: Uint8Array): Ed25519Verifier {
  if (publicKey.length !== KEY_BYTES) throw new CryptoError('key_invalid', `public key is not ${KEY_BYTES} bytes`)
  const key = createPublicKey({ key: Buffer.concat([SPKI, publicKey]), format: 'der', type: 'spki' })
  return { verify: (message, signature) => signature.length === SIGNATURE_BYTES && verify(null, message, key, signature) }
}
