/** Owns what every group of the engine is made from. */
import { hostname } from 'node:os'
import { randomBase62 } from '@sallyport/core'
import type { Clock, DpopNonces, Egress, Logger, Metrics, ModelProvider, Provider } from '@sallyport/core'
import type { Checkpointer, UseLog } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/index.ts'
import type { TlsCertificate } from '../http/index.ts'
import type { Room } from '../organizations/index.ts'
import type { Keeper, Personal, Vault } from '../vault/index.ts'

export interface Parts {
  readonly config: Config
  readonly database: Database
  readonly vault: Vault
  readonly personal: Personal
  readonly keeper: Keeper
  readonly checkpointer: Checkpointer
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  /** This process, told from every other and from the one before it. */
  readonly node: string
  /** Where TLS ends here. */
  readonly certificate: TlsCertificate | undefined
}

export function roomOf(config: Config): Room {
  return {
    connections: config.connectionsPerOrganization,
    integrations: config.integrationsPerOrganization,
    members: config.membersPerOrganization,
    projects: config.projectsPerOrganization,
    providerKeys: config.providerKeysPerOrganization,
  }
}

export function nodeName(): string {
  return `${hostname().slice(0, 64)}/${process.pid}/${randomBase62(8)}`
}

/** What the groups share beside it. */
export interface Ground extends Parts {
  readonly egress: Egress
  readonly useLog: UseLog
  readonly dpopNonces: DpopNonces
  /** The catalog as configured, by id. */
  readonly providers: ReadonlyMap<string, Provider>
  /** Those of models, with what the operator declared, in the order of their ids. */
  readonly modelProviders: readonly ModelProvider[]
}
