/** Owns what every group of the engine is made from. */
import type { Clock, DpopNonces, Egress, Logger, Metrics, Provider } from '@sallyport/core'
import type { Checkpointer, UseLog } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/index.ts'
import type { Keeper, Vault } from '../vault/index.ts'

export interface Parts {
  readonly config: Config
  readonly database: Database
  readonly vault: Vault
  readonly keeper: Keeper
  readonly checkpointer: Checkpointer
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What the groups share beside it. */
export interface Ground extends Parts {
  readonly egress: Egress
  readonly useLog: UseLog
  readonly dpopNonces: DpopNonces
  /** The catalog as configured, by id. */
  readonly providers: ReadonlyMap<string, Provider>
}
