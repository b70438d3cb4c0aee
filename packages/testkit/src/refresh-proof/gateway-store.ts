/**
 * Owns the judge's own look at what gateways keep: their credential store over the tenants' tables, opened past every wire, with the
 * installation's root keys. Refuses nothing; a proof only reads by it.
 */
import { createLogger, RootKeyring, Secret, systemClock } from '@sallyport/core'
import type { CredentialStore } from '@sallyport/core'
import { createUseLog } from '../../../server/src/audit/index.ts'
import { createLineage, createTenantStore, createTransitions } from '../../../server/src/credentials/index.ts'
import { openDatabase } from '../../../server/src/db/index.ts'
import { createVault } from '../../../server/src/vault/index.ts'

/** @param url the gateways' own login */
export async function openGatewayStore(url: string, rootKeys: string): Promise<{ store: CredentialStore; close(): Promise<void> }> {
  const logger = createLogger({ level: 'silent', format: 'json' })
  const database = await openDatabase({ url: new Secret(url), logger, poolSize: 3 })
  const vault = createVault({ database, keyring: RootKeyring.parse(new Secret(rootKeys)), clock: systemClock, logger })
  const useLog = createUseLog({ database, personal: { seal: async () => undefined }, logger })
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const store = createTenantStore({ database, vault, lineage, transitions: createTransitions({ useLog, logger }), logger })
  return {
    store,
    async close() {
      await store.close()
      await useLog.close(1_000)
      vault.close()
      await database.close()
    },
  }
}
