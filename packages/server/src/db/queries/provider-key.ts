/** Owns the rows of model providers' keys. The credential stays sealed here, and goes as soon as its key has ended. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { ProviderKeyId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import { noteChange } from '../tenant.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'

export interface ProviderKey {
  readonly id: ProviderKeyId
  /** null: of the whole organization. */
  readonly place: Place | null
  readonly provider: string
  readonly name: string
  readonly settings: Readonly<Record<string, string>>
  readonly mask: string
  /** 16 bytes. */
  readonly fingerprint: Buffer
  readonly replaces: ProviderKeyId | null
  readonly createdBy: string
  readonly createdAt: Date
  /** When its overlap with its successor is over. */
  readonly endsAt: Date | null
  readonly revokedAt: Date | null
}

export type NewProviderKey = Omit<ProviderKey, 'createdAt' | 'endsAt' | 'revokedAt'> & {
  /** An envelope, sealed to this row. */
  readonly sealed: Buffer
}

const COLUMNS = [
  'id',
  'project_id',
  'environment',
  'provider',
  'name',
  'settings',
  'mask',
  'fingerprint',
  'replaces',
  'created_by',
  'created_at',
  'ends_at',
  'revoked_at',
] as const

/** @throws DatabaseError `conflict` when a key of that provider and name stands in that place. */
export async function providerKeyInsert(tx: TenantTx, made: NewProviderKey): Promise<ProviderKey> {
  noteChange(tx, 'provider_key', made.id)
  const row = await tx
    .insertInto('sallyport.provider_key')
    .values({
      org_id: tx.org,
      id: made.id,
      project_id: made.place?.project ?? null,
      environment: made.place?.environment ?? null,
      provider: made.provider,
      name: made.name,
      settings: JSON.stringify(made.settings),
      sealed: made.sealed,
      mask: made.mask,
      fingerprint: made.fingerprint,
      replaces: made.replaces,
      created_by: made.createdBy,
    })
    .returning(COLUMNS)
    .executeTakeFirstOrThrow()
  return providerKey(row)
}

/** Oldest first, those that have ended too; index provider_key_list. */
export async function providerKeyList(tx: TenantTx, place: Place | null, page: Page<ProviderKeyId>): Promise<ProviderKey[]> {
  const rows = await inPlace(tx, place)
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(providerKey)
}

/** Of which providers a key is kept that stands or is at hand still: in that place, or of the organization. */
export async function providerKeyProviders(tx: TenantTx, { project, environment }: Place): Promise<string[]> {
  const rows = await tx
    .selectFrom('sallyport.provider_key')
    .select('provider')
    .distinct()
    .where('org_id', '=', tx.org)
    .where('sealed', 'is not', null)
    .where((is) => is.or([is('ends_at', 'is', null), is('ends_at', '>', sql<Date>`clock_timestamp()`)]))
    .where((is) => is.or([is('project_id', 'is', null), is.and([is('project_id', '=', project), is('environment', '=', environment)])]))
    .execute()
  return rows.map(({ provider }) => provider)
}

/** Held until the transaction ends: who rotates and who revokes stand in line. */
export async function providerKeyHold(tx: TenantTx, place: Place | null, id: ProviderKeyId): Promise<ProviderKey | undefined> {
  const row = await inPlace(tx, place).where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
  return row && providerKey(row)
}

/** Lets a key that stands go on for so long, by the database's clock; 0: it is over. Undefined when it has ended or was replaced before. */
export async function providerKeyOutlive(tx: TenantTx, id: ProviderKeyId, overlapS: number): Promise<ProviderKey | undefined> {
  noteChange(tx, 'provider_key', id)
  const row = await tx
    .updateTable('sallyport.provider_key')
    .set({
      ends_at: sql<Date>`clock_timestamp() + make_interval(secs => ${overlapS}::double precision)`,
      ...(overlapS === 0 ? { sealed: null } : {}),
    })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('ends_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst()
  return row && providerKey(row)
}

/** Ends a key for good, and forgets its credential. Undefined when it had been revoked before. */
export async function providerKeyRevoke(tx: TenantTx, id: ProviderKeyId): Promise<ProviderKey | undefined> {
  noteChange(tx, 'provider_key', id)
  const row = await tx
    .updateTable('sallyport.provider_key')
    .set({ revoked_at: sql<Date>`clock_timestamp()`, sealed: null })
    .where('org_id', '=', tx.org)
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning(COLUMNS)
    .executeTakeFirst()
  return row && providerKey(row)
}

function inPlace(tx: TenantTx, place: Place | null) {
  return tx
    .selectFrom('sallyport.provider_key')
    .select(COLUMNS)
    .where('org_id', '=', tx.org)
    .where('project_id', place === null ? 'is' : '=', place?.project ?? null)
    .where('environment', place === null ? 'is' : '=', place?.environment ?? null)
}

type Row = Pick<Selectable<Schema['sallyport.provider_key']>, (typeof COLUMNS)[number]>

function providerKey(row: Row): ProviderKey {
  const { project_id: project, environment } = row
  return {
    id: row.id,
    place: project === null || environment === null ? null : { project, environment },
    provider: row.provider,
    name: row.name,
    settings: row.settings,
    mask: row.mask,
    fingerprint: row.fingerprint,
    replaces: row.replaces,
    createdBy: row.created_by,
    createdAt: row.created_at,
    endsAt: row.ends_at,
    revokedAt: row.revoked_at,
  }
}
