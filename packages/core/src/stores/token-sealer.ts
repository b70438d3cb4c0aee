/**
 * Owns how the tokens of a store without organizations are sealed, and to which place. Refuses to let the place depend on the kind of store:
 * what was sealed for one opens in another after the rows were carried over.
 *
 *   what               purpose           table                 column   record                              seq
 *   a version          credential        credential_version    sealed   frame([scope, id])                  the version's
 *   a waiting answer   spilled-answer    refresh_intent        answer   frame([scope, id, intent, gen])     its parent's
 *   an unread answer   unread-answer     refresh_intent        unread   frame([scope, id, intent])          0
 *
 * A record is the base64url of the frame: each part's length (32 bits) and its UTF-8.
 */
import { CryptoError, envelopeKeyId, frame, open, reseal, seal } from '../crypto/index.ts'
import type { RootKeyring, SealPlace } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'
import { readTokenSet, writeTokenSet } from '../tokens/index.ts'
import type { CredentialRef, CredentialVersion, SpilledAnswer, TokenSet } from '../tokens/index.ts'
import type { NewVersion, SealedEntry, SealedVersion } from './records.ts'

export class TokenSealer {
  readonly #keys: RootKeyring

  constructor(keys: RootKeyring) {
    this.#keys = keys
  }

  /** The key that seals. */
  get currentKeyId(): string {
    return this.#keys.primary.id
  }

  /** The tokens as a version to be. They are written out once, and sealed for as many numbers as it takes. */
  version(ref: CredentialRef, tokens: TokenSet): NewVersion {
    const text = writeTokenSet(tokens)
    return { renewable: tokens.refreshToken !== null, seal: (seq) => seal(this.#keys.primary, versionPlace(ref, seq), text) }
  }

  /** @throws CryptoError as `open`; TokenError `credential_malformed`. */
  openVersion(ref: CredentialRef, { sealed, ...version }: SealedVersion): CredentialVersion {
    return { ...version, tokens: readTokenSet(this.#open(versionPlace(ref, version.seq), sealed)) }
  }

  sealAnswer(answer: Omit<SpilledAnswer, 'sealed'>, text: Secret): Uint8Array {
    return seal(this.#keys.primary, answerPlace(answer), text)
  }

  /** @throws CryptoError as `open`. */
  openAnswer(answer: SpilledAnswer): Secret {
    return this.#open(answerPlace(answer), answer.sealed)
  }

  sealUnread(ref: CredentialRef, intent: string, text: Secret): Uint8Array {
    return seal(this.#keys.primary, unreadPlace(ref, intent), text)
  }

  /** An entry under the current key; undefined when it is already. @throws CryptoError as `open`. */
  renewed({ ref, at, sealed }: SealedEntry): Uint8Array | undefined {
    if (envelopeKeyId(sealed) === this.currentKeyId) return undefined
    const place = 'seq' in at ? versionPlace(ref, at.seq) : unreadPlace(ref, at.intent)
    return reseal((id) => this.#keys.get(id), place, sealed, this.#keys.primary)
  }

  #open(place: SealPlace, sealed: Uint8Array): Secret {
    const id = envelopeKeyId(sealed)
    if (this.#keys.get(id) === undefined) {
      throw new CryptoError('key_unknown', `a token is sealed under the key "${id}", which is not among the encryption keys given`)
    }
    return open((keyId) => this.#keys.get(keyId), place, sealed)
  }
}

function versionPlace({ scope, id }: CredentialRef, seq: bigint): SealPlace {
  return { purpose: 'credential', org: '', table: 'credential_version', column: 'sealed', record: record(scope, id), seq }
}

function answerPlace({ ref, intent, generation, parentSeq }: Omit<SpilledAnswer, 'sealed'>): SealPlace {
  const of = record(ref.scope, ref.id, intent, String(generation))
  return { purpose: 'spilled-answer', org: '', table: 'refresh_intent', column: 'answer', record: of, seq: parentSeq }
}

function unreadPlace({ scope, id }: CredentialRef, intent: string): SealPlace {
  return { purpose: 'unread-answer', org: '', table: 'refresh_intent', column: 'unread', record: record(scope, id, intent), seq: 0n }
}

function record(...parts: readonly string[]): string {
  return frame(parts).toString('base64url')
}
