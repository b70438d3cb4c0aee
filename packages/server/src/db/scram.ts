/**
 * Owns the stored form of a PostgreSQL password (RFC 5803, SCRAM-SHA-256 of RFC 7677). Refuses to send a password to the server as text:
 * statements are logged there.
 *
 *   SCRAM-SHA-256$<iterations>:<salt, base64>$<StoredKey, base64>:<ServerKey, base64>
 */
import { hmacKey, hmacSha256, randomBytes, sha256 } from '@sallyport/core'
import type { Secret } from '@sallyport/core'
import { DatabaseError } from './errors.ts'

const ITERATIONS = 4096
const SALT_BYTES = 16

/**
 * The verifier of `password`, under a fresh salt. Takes 16 or more printable ASCII characters: those need no preparation (RFC 4013).
 * @throws DatabaseError `database_url_invalid` for any other password.
 */
export function scramVerifier(password: Secret, salt: Uint8Array = randomBytes(SALT_BYTES)): string {
  if (!/^[\x21-\x7e]{16,}$/.test(password.reveal())) {
    throw new DatabaseError('database_url_invalid', 'a login is made with a password of 16 or more printable ASCII characters')
  }
  const salted = hmacKey(saltedPassword(password, salt))
  const storedKey = sha256(hmacSha256(salted, 'Client Key'))
  const serverKey = hmacSha256(salted, 'Server Key')
  return `SCRAM-SHA-256$${ITERATIONS}:${base64(salt)}$${base64(storedKey)}:${base64(serverKey)}`
}

/** Hi() of RFC 5802 section 2.2: PBKDF2 with HMAC-SHA-256 and one block of output. */
function saltedPassword(password: Secret, salt: Uint8Array): Buffer {
  const key = hmacKey(Buffer.from(password.reveal(), 'utf8'))
  let block = hmacSha256(key, salt, Buffer.from([0, 0, 0, 1]))
  const result = Buffer.from(block)
  for (let round = 1; round < ITERATIONS; round++) {
    block = hmacSha256(key, block)
    for (let i = 0; i < result.length; i++) result[i]! ^= block[i]!
  }
  return result
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
