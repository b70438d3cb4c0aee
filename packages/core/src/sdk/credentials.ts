/**
 * Owns what a call goes out with: its connection's credential, fresh, and the way it goes into each request. Refuses to let a call see the
 * credential itself.
 */
import { authorize } from '../catalog/index.ts'
import type { AuthorizedCall, Authorizing, OutgoingRequest, ProviderRoute } from '../catalog/index.ts'
import type { FreshOptions, Refresher } from '../refresh/index.ts'
import type { CredentialRef, TokenSet } from '../tokens/index.ts'
import type { ConfiguredProvider } from './config.ts'

export interface CallCredential {
  /** Rises with every consent: what is remembered of one generation is nothing to another. */
  readonly generation: number
  readonly seq: bigint
  readonly unsaved: boolean
  /** For one try: what is signed or proven holds for this request only. @throws as `authorize` */
  authorize(route: ProviderRoute, request: OutgoingRequest): AuthorizedCall
}

export class Credentials {
  readonly #refresher: Pick<Refresher, 'fresh'>
  readonly #authorizing: Omit<Authorizing, 'oauth1Client'>

  constructor(refresher: Pick<Refresher, 'fresh'>, authorizing: Omit<Authorizing, 'oauth1Client'>) {
    this.#refresher = refresher
    this.#authorizing = authorizing
  }

  /** @throws as `Refresher.fresh` */
  async fresh(_provider: ConfiguredProvider, ref: CredentialRef, options: FreshOptions): Promise<CallCredential> {
    const { tokens, generation, seq, unsaved } = await this.#refresher.fresh(ref, options)
    return { generation, seq, unsaved, authorize: (route, request) => this.#authorize(tokens, route, request) }
  }

  #authorize(tokens: TokenSet | null, route: ProviderRoute, request: OutgoingRequest): AuthorizedCall {
    return authorize(route, tokens, request, this.#authorizing)
  }
}
