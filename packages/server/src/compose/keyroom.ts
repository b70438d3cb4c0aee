/** Owns the database and its keys without a gateway around them: what the command line works on. */
import { join } from 'node:path'
import { createLogger, MetricsRegistry, systemClock, writeLine } from '@sallyport/core'
import type { Logger, Metrics } from '@sallyport/core'
import { createCheckpointer, createCheckpointSink } from '../audit/index.ts'
import type { Checkpointer } from '../audit/index.ts'
import type { Config } from '../config.ts'
import type { Database } from '../db/index.ts'
import { openHome, openRootKeys } from '../home/index.ts'
import type { OpenRootKeys } from '../home/index.ts'
import { METRICS } from '../metrics/index.ts'
import { createOrganizationDeletions } from '../organizations/index.ts'
import type { OrganizationDeletions } from '../organizations/index.ts'
import { createBulkRevocations } from '../revocation/index.ts'
import type { BulkRevocations } from '../revocation/index.ts'
import { createKeeper, createPersonal, createVault } from '../vault/index.ts'
import type { Keeper, Personal, Vault } from '../vault/index.ts'
import { inTurn } from './closing.ts'

/** The database and its keys, without a gateway around them. */
export interface Keyroom {
  readonly keeper: Keeper
  readonly checkpointer: Checkpointer
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly vault: Pick<Vault, 'seal' | 'openIn'>
  readonly personal: Personal
  /** Works on what it begins while it is open; gateways go on with it, and tell the providers. */
  readonly bulk: BulkRevocations
  /** Asks for the end of organizations; gateways carry it out. */
  readonly deletions: Pick<OrganizationDeletions, 'request' | 'takeBack' | 'find'>
  /** Milliseconds since 1970. */
  readonly now: () => number
  close(): Promise<void>
}

/**
 * Opens what the `keys` command works on. Lines of the log go to standard error: standard output is the command's answer.
 * @param options.provesRootKeys as every start does; not when a key is to be removed that is no longer configured
 * @throws SallyportError of the part that refused; nothing is left open then.
 */
export async function openKeyroom(config: Config, options: { readonly provesRootKeys: boolean }): Promise<Keyroom> {
  const logger = createLogger({ level: config.logLevel, format: config.logFormat, write: (line) => writeLine(line, 'stderr') })
  const home = await openHome(config, logger)
  const opened: (() => Promise<void>)[] = [() => home.close()]
  const close = (): Promise<void> => inTurn(opened.splice(0).toReversed())
  try {
    const rootKeys = await openRootKeys(config, (await home.database.system.rootKeys()).size === 0, logger)
    opened.push(() => rootKeys.close())
    // Nobody scrapes a command: what it counts ends with it.
    const { vault, personal, keeper } = openVault(config, home.database, rootKeys, { logger, metrics: new MetricsRegistry(METRICS) })
    const checkpointer = openCheckpointer(config, { database: home.database, vault }, { logger, metrics: new MetricsRegistry(METRICS) })
    const bulk = createBulkRevocations({ database: home.database, vault, logger, onPage: () => undefined })
    const deletions = createOrganizationDeletions({ database: home.database, bulk, logger })
    opened.push(
      async () => vault.close(),
      () => keeper.close(),
      () => checkpointer.close(),
      () => bulk.close(),
    )
    if (options.provesRootKeys) await vault.checkRootKeys()
    return { keeper, checkpointer, database: home.database, vault, personal, bulk, deletions, now: () => systemClock.now(), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the two that count and tell are given by whoever opens them. */
interface Telling {
  readonly logger: Logger
  readonly metrics: Metrics
}

export function openCheckpointer(
  { audit, dataDir }: Config,
  { database, vault }: { readonly database: Database; readonly vault: Vault },
  telling: Telling,
): Checkpointer {
  const file = audit.checkpointTo === 'log' ? undefined : (audit.checkpointFile ?? join(dataDir, 'audit-checkpoints.jsonl'))
  return createCheckpointer({
    database,
    signer: (id) => vault.auditSigner(id),
    sink: createCheckpointSink({ file, toLog: audit.checkpointTo !== 'file', ...telling }),
    everyEvents: audit.checkpointEvents,
    everySeconds: audit.checkpointSeconds,
    ...telling,
  })
}

/** What is made with a vault. */
interface Vaulted {
  readonly vault: Vault
  readonly personal: Personal
  readonly keeper: Keeper
}

export function openVault(config: Config, database: Database, rootKeys: OpenRootKeys, telling: Telling): Vaulted {
  const vault = createVault({
    database,
    keyring: rootKeys.keys,
    clock: systemClock,
    ...telling,
    rereadRootKeys: () => rootKeys.reread(),
  })
  const { rotateAfterDays } = config.keys
  const personal = createPersonal({ vault, logger: telling.logger })
  return { vault, personal, keeper: createKeeper({ database, vault, clock: systemClock, ...telling, rotateAfterDays }) }
}
