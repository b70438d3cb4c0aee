/**
 * Owns what providers show of their rotation, against what their records say. A provider said not to rotate that does is taken for strict;
 * one said to rotate that keeps its token is reported, and handled as said: to be careful costs little.
 */
import type { Logger } from '../observability/index.ts'
import { sameRefreshToken } from '../tokens/index.ts'
import type { CredentialStore, CredentialState, RotationProfile, TokenSet } from '../tokens/index.ts'
import type { RefreshEndpoint } from './options.ts'

export class LearnedRotation {
  readonly #store: CredentialStore
  readonly #logger: Logger
  readonly #seen = new Map<string, 'rotates' | 'keeps'>()

  constructor(store: CredentialStore, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /** Takes note of a successful refresh. */
  note({ provider, rotation }: RefreshEndpoint, parent: TokenSet, tokens: TokenSet): void {
    const seen = sameRefreshToken(parent, tokens) ? 'keeps' : 'rotates'
    if (this.#seen.get(provider) === seen) return
    this.#seen.set(provider, seen)
    if (rotation.kind === 'none' && seen === 'rotates') {
      this.#logger.warn('A provider gives new refresh tokens, though its record says that it keeps them', { provider })
    }
    if (rotation.kind !== 'none' && seen === 'keeps') {
      this.#logger.info('A provider keeps its refresh token, though its record says that it gives new ones', { provider })
    }
  }

  /** How to treat this credential: as its lineage and its provider have shown, where that is more careful than the record. */
  async profileOf({ ref, head }: CredentialState, { provider, rotation }: RefreshEndpoint): Promise<RotationProfile> {
    if (rotation.kind !== 'none') return rotation
    if (this.#seen.get(provider) === 'rotates') return { kind: 'strict' }
    // Other refresh tokens in one grant's lineage are there because the provider gave them.
    const others = await this.#store.siblings(ref)
    return others.every(({ tokens }) => sameRefreshToken(tokens, head.tokens)) ? rotation : { kind: 'strict' }
  }
}
