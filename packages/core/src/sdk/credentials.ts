/**
 * Owns what a call goes out with: its connection's credential, fresh, and the way it goes into each request. Refuses to let a call see the
 * credential itself.
 */
import { authorize } from '../catalog/index.ts'
import type { AuthorizedCall, Authorizing, OutgoingRequest, ProviderRoute } from '../catalog/index.ts'
import type { FreshOptions, Refresher } from '../refresh/index.ts'
import type { CredentialRef, TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'
import type { ConfiguredScheme } from './schemes.ts'

export interface CallCredential {
  /** Rises with every consent: what is remembered of one generation is nothing to another. */
  readonly generation: number
  readonly seq: bigint
  readonly unsaved: boolean
  /** It is the last known: it could not be renewed in time, or its store is away. */
  readonly stale: boolean
  /** For one try: what is signed or proven holds for this request only. @throws as `authorize` */
  readonly authorize: (route: ProviderRoute, request: OutgoingRequest) => AuthorizedCall
}

export class Credentials {
  readonly #refresher: Pick<Refresher, 'fresh'>
  readonly #authorizing: Omit<Authorizing, 'oauth1Client'>

  constructor(refresher: Pick<Refresher, 'fresh'>, authorizing: Omit<Authorizing, 'oauth1Client'>) {
    this.#refresher = refresher
    this.#authorizing = authorizing
  }

  /** @throws as `Refresher.fresh` */
  async fresh({ scheme }: ConfiguredProvider, ref: CredentialRef, options: FreshOptions): Promise<CallCredential> {
    // Whoever asks for nothing of a person's is nobody's connection.
    if (scheme.kind === 'none') return { generation: 0, seq: 0n, unsaved: false, stale: false, authorize: this.#authorize(null, scheme) }
    const { tokens, generation, seq, unsaved, stale } = await this.#refresher.fresh(ref, options)
    return { generation, seq, unsaved, stale, authorize: this.#authorize(tokens, scheme) }
  }

  #authorize(tokens: TokenSet | null, scheme: ConfiguredScheme): CallCredential['authorize'] {
    const by = { ...this.#authorizing, oauth1Client: scheme.kind === 'oauth1' ? scheme.client : undefined }
    return (route, request) => authorize(route, tokens, request, by)
  }
}
