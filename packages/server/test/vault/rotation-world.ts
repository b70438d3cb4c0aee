/** Owns an organization full of sealed records, and keepers of its keys, each as another node would have one. */
import { createLogger, generateKeyBytes, noMetrics, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { Clock, Logger, Metrics } from '@sallyport/core'
import type { Database } from '../../src/db/index.ts'
import { createKeeper, createVault } from '../../src/vault/index.ts'
import type { Keeper, Vault } from '../../src/vault/index.ts'
import { makeTenant } from '../db/fresh-database.ts'
import type { Tenant } from '../db/fresh-database.ts'
import { credentialAdvance } from './rotation-writes.ts'

export const keyText = (...ids: string[]): string => ids.map((id) => `${id}:${generateKeyBytes().toString('hex')}`).join()

export interface Node {
  readonly vault: Vault
  readonly keeper: Keeper
  close(): Promise<void>
}

export interface NodeOptions {
  readonly rotateAfterDays?: number
  readonly clock?: Clock
  readonly metrics?: Metrics
  readonly logger?: Logger
}

/** A vault and a keeper over `database` with these root keys, the first primary. */
export async function openNode(database: Database, rootKeys: string, options: NodeOptions = {}): Promise<Node> {
  const logger = options.logger ?? createLogger({ level: 'silent', format: 'json' })
  const { clock = systemClock, rotateAfterDays = 90, metrics = noMetrics } = options
  const vault = createVault({ database, keyring: RootKeyring.parse(new Secret(rootKeys)), clock, logger })
  await vault.checkRootKeys()
  const keeper = createKeeper({ database, vault, clock, logger, metrics, rotateAfterDays })
  return {
    vault,
    keeper,
    async close() {
      await keeper.close()
      vault.close()
    },
  }
}

/** An organization whose connection has `records` sealed versions, numbered from 2, the last one in use. */
export async function fillTenant(database: Database, vault: Vault, records: number): Promise<Tenant> {
  const tenant = await makeTenant(database)
  for (let done = 0; done < records; done += 500) {
    await database.withTenant(tenant.org, async (tx) => {
      for (let n = done; n < Math.min(records, done + 500); n++) await credentialAdvance(tx, vault, tenant.connection, BigInt(n + 2))
    })
  }
  return tenant
}
