/** Owns the failures of this folder. Refuses to say why a decryption failed: every cause gives the same error. */
import { SallyportError } from '../kernel/index.ts'

/**
 * - `envelope_malformed`: the bytes are not the one canonical spelling of an envelope.
 * - `envelope_version_unknown`: a format version this build doesn't read; nothing else is tried.
 * - `key_unknown`: the envelope names a key that is not here; no other key is tried.
 * - `decrypt_failed`: wrong key bytes, wrong place or changed bytes. Never says which.
 * - `key_invalid`: key material that is refused; `faults` has every reason.
 */
export type CryptoErrorCode = 'envelope_malformed' | 'envelope_version_unknown' | 'key_unknown' | 'decrypt_failed' | 'key_invalid'

/** A failure of sealing, opening or key parsing. Messages hold no key material, no plaintext and no ciphertext. */
export class CryptoError extends SallyportError<CryptoErrorCode> {
  override readonly name = 'CryptoError'
  /** For `key_invalid`: each reason, for the operator. Names positions and ids, never a part of a key. Empty otherwise. */
  readonly faults: readonly string[]

  constructor(code: CryptoErrorCode, message: string, faults: readonly string[] = []) {
    super(code, message)
    this.faults = faults
  }
}

/**
 * - `key_source_unavailable`: whoever holds root keys did not answer in time, was throttled, sealed, or down. Asking later may help.
 * - `key_source_refused`: it answered, and not what it should: no such key, no right to it, another key than was asked for.
 */
export type KeySourceErrorCode = 'key_source_unavailable' | 'key_source_refused'

/** Root keys, or what they wrap, could not be had. Messages name the source and a reason of our own words, never its answer. */
export class KeySourceError extends SallyportError<KeySourceErrorCode> {
  override readonly name = 'KeySourceError'
}
