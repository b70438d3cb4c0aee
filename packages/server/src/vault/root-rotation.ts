/**
 * Owns putting what root keys wrap under the primary one: every organization's data keys and the installation's own secrets. Each is one row,
 * replaced only if it is still what was unwrapped, so that a kill at any moment and a second one at the same time leave every row whole.
 */
import { formatId, hasCode, wrappingKeyId } from '@sallyport/core'
import type { Logger, OrgId } from '@sallyport/core'
import { appendAudit, INSTALLATION } from '../audit/index.ts'
import type { AuditEvent } from '../audit/index.ts'
import { dataKeyList, dataKeyRewrap, systemSecretReplace } from '../db/index.ts'
import type { Database, DataKey, RootKeyUse } from '../db/index.ts'
import { BEGINNING, organizations } from './organizations.ts'
import type { Vault } from './vault.ts'

export interface RootRotationContext {
  readonly database: Database
  readonly vault: Pick<Vault, 'rewrapped' | 'rewrappedSystemSecret' | 'rootKeyIds'>
  readonly logger: Logger
  readonly signal?: AbortSignal | undefined
}

export interface RootRotationReport {
  /** The primary root key. */
  readonly to: string
  readonly dataKeys: number
  readonly systemSecrets: number
  /** Data keys that don't unwrap where they stand: changed, or moved by somebody. They are left as they are. */
  readonly unreadable: number
  /** Every root key known to the database and what is still under it, counted afterwards. */
  readonly use: readonly RootKeyUse[]
}

/** @throws VaultError `root_key_missing`, CryptoError, KeySourceError, DatabaseError: what was done until then stays done. */
export async function rotateRoot(context: RootRotationContext, actor: string): Promise<RootRotationReport> {
  const { database, vault, signal } = context
  const to = vault.rootKeyIds[0]!
  const systemSecrets = await rewrapSystemSecrets(context, actor)
  const done = { dataKeys: 0, unreadable: 0 }
  const work = organizations((after, limit) => database.lookups.dataKeyWork({ primaryRoot: to, madeBefore: BEGINNING, after, limit }))
  for await (const org of work) {
    if (signal?.aborted === true) break
    await rewrapOrganization(context, org, actor, done)
  }
  return { to, ...done, systemSecrets, use: await database.system.rootKeyUse() }
}

export type RewrapReport = Pick<RootRotationReport, 'to' | 'dataKeys' | 'unreadable'>

/** The same for the data keys of one organization alone. Throws as `rotateRoot`. */
export async function rotateRootOf(context: RootRotationContext, org: OrgId, actor: string): Promise<RewrapReport> {
  const done = { dataKeys: 0, unreadable: 0 }
  await rewrapOrganization(context, org, actor, done)
  return { to: context.vault.rootKeyIds[0]!, ...done }
}

interface Done {
  dataKeys: number
  unreadable: number
}

/** Unwrapping may ask a service far away: nothing is held meanwhile. */
async function rewrapOrganization(context: RootRotationContext, org: OrgId, actor: string, total: Done): Promise<void> {
  const { database, logger } = context
  const changes: { key: DataKey; now: Rewrapped }[] = []
  for (const key of await database.withTenant(org, dataKeyList)) {
    const now = await rewrapped(context, org, key)
    if (now === 'unreadable') total.unreadable += 1
    else if (now !== undefined) changes.push({ key, now })
  }
  if (changes.length === 0) return
  total.dataKeys += await database.withTenant(org, async (tx) => {
    const events: AuditEvent[] = []
    for (const { key, now } of changes) {
      if (!(await dataKeyRewrap(tx, key.id, key.wrapped, now))) continue
      events.push({ action: 'root_key.rotated', actor, target: formatId('dk', key.id), detail: { from: key.rootKeyId, to: now.rootKeyId } })
    }
    await appendAudit(tx, ...events)
    return events.length
  })
  logger.info('Rewrapped data keys', { org, dataKeys: changes.length, rootKey: context.vault.rootKeyIds[0] })
}

type Rewrapped = NonNullable<Awaited<ReturnType<Vault['rewrapped']>>>

/** One organization's damage must not keep the others under the old key. */
async function rewrapped({ vault, logger }: RootRotationContext, org: OrgId, key: DataKey): Promise<Rewrapped | 'unreadable' | undefined> {
  try {
    return await vault.rewrapped(org, key)
  } catch (error) {
    if (!hasCode(error, 'decrypt_failed')) throw error
    logger.error('A data key does not unwrap', { org, dataKey: key.id })
    return 'unreadable'
  }
}

async function rewrapSystemSecrets({ database, vault }: RootRotationContext, actor: string): Promise<number> {
  let done = 0
  for (const [name, sealed] of await database.system.secrets()) {
    const now = await vault.rewrappedSystemSecret(name, sealed)
    if (now === undefined) continue
    const detail = { from: wrappingKeyId(sealed), to: wrappingKeyId(now) }
    done += await database.withTenant(INSTALLATION, async (tx) => {
      if (!(await systemSecretReplace(tx, name, sealed, now))) return 0
      await appendAudit(tx, { action: 'root_key.rotated', actor, target: name, detail })
      return 1
    })
  }
  return done
}
