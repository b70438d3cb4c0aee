/**
 * Owns the keys under which audit events say what is personal, one for each whom they are about. Refuses to say of an organization that is on its way
 * out, or gone: there nothing new is sealed.
 */
import { sql } from 'kysely'
import type { TenantTx } from '../tenant.ts'

export interface AuditSubjectKey {
  readonly id: string
  /** Whom it is about, by its outside id. */
  readonly subject: string
  /** An envelope of the vault. */
  readonly sealed: Buffer
}

const COLUMNS = ['id', 'subject', 'sealed'] as const

/**
 * Whether personal facts may be sealed here. The organization is there until the transaction ends; a deletion that began already finds nothing new.
 */
export async function auditSubjectsTaken(tx: TenantTx): Promise<boolean> {
  const { rows } = await sql`
    select from sallyport.organization where id = ${tx.org} and state = 'active' for key share`.execute(tx)
  return rows.length > 0
}

export function auditSubjectKeyFind(tx: TenantTx, subject: string): Promise<AuditSubjectKey | undefined> {
  return keys(tx).where('subject', '=', subject).executeTakeFirst()
}

/** Those of `ids` that there are. */
export async function auditSubjectKeyList(tx: TenantTx, ids: readonly string[]): Promise<AuditSubjectKey[]> {
  return ids.length === 0 ? [] : keys(tx).where('id', 'in', ids).execute()
}

/** False when the subject has one: of several makers, all use the one that was stored. Waits for another that makes it. */
export async function auditSubjectKeyInsert(tx: TenantTx, { id, subject, sealed }: AuditSubjectKey): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('sallyport.audit_subject_key')
    .values({ org_id: tx.org, id, subject, sealed })
    .onConflict((conflict) => conflict.columns(['org_id', 'subject']).doNothing())
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

/** How many there were. */
export async function auditSubjectKeyDelete(tx: TenantTx, subjects: readonly string[]): Promise<number> {
  if (subjects.length === 0) return 0
  const { numDeletedRows } = await tx
    .deleteFrom('sallyport.audit_subject_key')
    .where('org_id', '=', tx.org)
    .where('subject', 'in', subjects)
    .executeTakeFirst()
  return Number(numDeletedRows)
}

function keys(tx: TenantTx) {
  return tx.selectFrom('sallyport.audit_subject_key').select(COLUMNS).where('org_id', '=', tx.org)
}
