/** Owns the names under which memory keeps what belongs to a secret text. Refuses to keep the text, and to give a name that another process could work out. */
import { hash, randomBytes } from 'node:crypto'

/**
 * A function from texts to names of 32 characters, of this process and this index alone: equal texts have equal names. SHA-256 over 256 random bits and the
 * text, in one call, which takes a fifth of an HMAC's time: what an HMAC adds is that nobody can lengthen a text under its tag, and these are never shown.
 */
export function createTextIndex(): (text: string) => string {
  const own = randomBytes(32).toString('latin1')
  return (text) => hash('sha256', own + text, 'binary')
}
