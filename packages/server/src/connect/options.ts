/** Owns what connecting is built from. Refuses to build any of it. */
import type { Problem } from '@sallyport/contract'
import { createServerDirectory } from '@sallyport/core'
import type { Clock, DpopNonces, Logger, OutboundFetch, Provider, ServerDirectory } from '@sallyport/core'
import type { Lineage } from '../credentials/index.ts'
import type { Database } from '../db/index.ts'
import type { Sessions } from '../identity/index.ts'
import type { Room } from '../organizations/index.ts'
import type { Vault } from '../vault/index.ts'

export interface ConnectLimits {
  /** Life of a link, until its page was used. */
  readonly linkTtlS: number
  /** Life of a state: how long a person may take at the provider. */
  readonly stateTtlS: number
  /** How long the application may take to confirm, from the moment the browser came back. */
  readonly completionTtlS: number
  /** Wrong codes after which a session has failed. */
  readonly completionAttempts: number
  /** Unfinished sessions of one environment of a project (battery D-14): what `test` leaves open takes no room from `live`. Racing creations may pass it by as many as race. */
  readonly unfinishedPerEnvironment: number
}

export const CONNECT_LIMITS: ConnectLimits = {
  linkTtlS: 600,
  stateTtlS: 600,
  completionTtlS: 600,
  completionAttempts: 5,
  unfinishedPerEnvironment: 1000,
}

export interface ConnectOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'open' | 'openIn'>
  /** Where tokens become versions. */
  readonly lineage: Pick<Lineage, 'consent' | 'claim' | 'holders'>
  /** The egress's `fetch`. */
  readonly fetch: OutboundFetch
  /** Nonces of providers that bind tokens to keys; one set for the whole process. */
  readonly dpopNonces: DpopNonces
  /** Providers with the configured endpoints laid over. */
  readonly providers: (id: string) => Provider | undefined
  /** Without trailing slash. https makes cookies `__Host-` and `Secure`. */
  readonly publicUrl: string
  readonly sessions: Pick<Sessions, 'lookup'>
  /** Name of the console session's cookie. */
  readonly sessionCookie: string
  /** How a failure looks from outside. */
  readonly problemFor: (error: unknown, requestId: string) => Problem
  readonly clock: Clock
  readonly logger: Logger
  readonly limits?: Partial<ConnectLimits>
  /** How much of each an organization may have. */
  readonly room: Room
}

/** The options with every limit filled in. */
export type ConnectContext = Omit<ConnectOptions, 'limits'> & {
  readonly limits: ConnectLimits
  readonly secure: boolean
  /** What providers publish of themselves, where their records or overlays say that it is read. */
  readonly servers: ServerDirectory
}

export function connectContext(options: ConnectOptions): ConnectContext {
  return {
    ...options,
    limits: { ...CONNECT_LIMITS, ...options.limits },
    secure: options.publicUrl.startsWith('https://'),
    servers: createServerDirectory(options),
  }
}
