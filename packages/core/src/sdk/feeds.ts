/**
 * Owns reading a feed that an application names by its URL: through the same pipeline and the same door as everything else, without a credential.
 * Refuses what the door refuses, at each redirect anew: plain http, other ports, addresses that are not public.
 */
import { EgressError, judgePath, parseApiBase } from '../http/index.ts'
import type { OriginPolicy } from '../http/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { ConnectorCall } from '../connectors/index.ts'
import { composePipeline, discard } from '../pipeline/index.ts'
import type { Answer, Call } from '../pipeline/index.ts'
import { ProviderAnswer } from './answer.ts'
import type { CallPolicies } from './call-policies.ts'
import { SDK_OWNER } from './calling.ts'
import { SdkError } from './errors.ts'
import type { Destination, Sending } from './sending.ts'

/** The name that feeds go by where others have a provider's. */
export const FEED = 'feed'
const MAX_REDIRECTS = 5
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export interface FeedsParts {
  readonly policies: CallPolicies
  readonly sending: Sending
  readonly origins: OriginPolicy
  readonly deadlineMs: number
  readonly clock: Clock
}

export class Feeds {
  readonly #parts: FeedsParts

  constructor(parts: FeedsParts) {
    this.#parts = parts
  }

  /** The feed's own address is the whole of where it goes. @throws SdkError `argument_invalid`; EgressError; PipelineError; the signal's reason. */
  async request(feed: string, { headers = {} }: Pick<ConnectorCall, 'headers'>, signal: AbortSignal | undefined): Promise<ProviderAnswer> {
    const deadline = this.#parts.clock.monotonic() + this.#parts.deadlineMs
    let url = URL.parse(feed)
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      if (url === null || url.username !== '' || url.password !== '')
        throw new SdkError('argument_invalid', 'the address of a feed is no URL')
      const answer = await this.#get(url, headers, deadline, signal)
      const location = REDIRECTS.has(answer.status) ? answer.headers.get('location') : null
      if (location === null) return new ProviderAnswer(answer)
      await discard(answer)
      url = URL.parse(location, url.href)
    }
    throw new EgressError('upstream_invalid', 'redirects', true)
  }

  async #get(url: URL, headers: Readonly<Record<string, string>>, deadline: number, signal: AbortSignal | undefined): Promise<Answer> {
    const { policies, sending, origins } = this.#parts
    const path = judgePath(url.pathname + url.search)
    const destination: Destination = { base: parseApiBase(url.origin, origins), path, inject: [] }
    const call: Call = {
      method: 'GET',
      url: url.origin + path,
      headers: new Headers({ 'user-agent': 'sallyport', ...headers }),
      body: null,
      deadline,
      owner: SDK_OWNER,
      integration: FEED,
      provider: FEED,
      connection: '',
      generation: 0,
      ...(signal === undefined ? {} : { signal }),
    }
    try {
      return await composePipeline(policies.of(FEED), (one) => sending.send(one, destination, signal))(call)
    } catch (error) {
      signal?.throwIfAborted()
      throw error
    }
  }
}
