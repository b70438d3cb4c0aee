/**
 * Owns the keys under which audit events say what is personal, one for each whom they are about, and who was forgotten when. Refuses to say of an
 * organization that is on its way out, or gone: there nothing new is sealed.
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

export interface AuditSubjectStanding {
  readonly key: AuditSubjectKey | undefined
  /** What was known of the subject `ageMs` ago was forgotten since. */
  readonly forgotten: boolean
}

/** @param ageMs how long before this transaction began what is to be said was known, in milliseconds; by the database's clock */
export async function auditSubjectFind(tx: TenantTx, subject: string, ageMs: number): Promise<AuditSubjectStanding> {
  const { rows } = await sql<{ id: string | null; sealed: Buffer | null; forgotten: boolean | null }>`
    select k.id, k.sealed, f.forgotten_at >= now() - make_interval(secs => ${ageMs / 1_000}) as forgotten
    from (select ${tx.org}::uuid as org_id, ${subject}::text as subject) s
      left join sallyport.audit_subject_key k using (org_id, subject)
      left join sallyport.audit_subject_forgotten f using (org_id, subject)`.execute(tx)
  const { id, sealed, forgotten } = rows[0]!
  return { key: id === null || sealed === null ? undefined : { id, subject, sealed }, forgotten: forgotten === true }
}

/**
 * Whoever makes the key of a subject, or forgets it, does so alone until the transaction ends. Of several subjects, in the order of their text, on every
 * node: nobody then waits for one who waits for them.
 */
export async function auditSubjectTurn(tx: TenantTx, subject: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`sallyport/audit-subject/${tx.org}/${subject}`}, 0))`.execute(tx)
}

/** Those of `ids` that there are. */
export async function auditSubjectKeyList(tx: TenantTx, ids: readonly string[]): Promise<AuditSubjectKey[]> {
  return ids.length === 0 ? [] : keys(tx).where('id', 'in', ids).execute()
}

/** To be called in its turn, for a subject that has none. */
export async function auditSubjectKeyInsert(tx: TenantTx, { id, subject, sealed }: AuditSubjectKey): Promise<void> {
  await tx.insertInto('sallyport.audit_subject_key').values({ org_id: tx.org, id, subject, sealed }).execute()
}

/** As long as anything may wait before it is said: what is older of those who were forgotten says nothing any more. */
const REMEMBERED = '1 day'

/** To be called in the turns of all of them. How many keys there were. */
export async function auditSubjectForget(tx: TenantTx, subjects: readonly string[]): Promise<number> {
  if (subjects.length === 0) return 0
  await sql`
    delete from sallyport.audit_subject_forgotten f
    where f.org_id = ${tx.org} and f.forgotten_at < clock_timestamp() - ${REMEMBERED}::interval and f.subject <> all(${subjects})`.execute(
    tx,
  )
  await sql`
    insert into sallyport.audit_subject_forgotten (org_id, subject) select ${tx.org}, s from unnest(${subjects}::text[]) s order by s
    on conflict (org_id, subject) do update set forgotten_at = clock_timestamp()`.execute(tx)
  const { numAffectedRows } = await sql`
    delete from sallyport.audit_subject_key where org_id = ${tx.org} and subject = any(${subjects})`.execute(tx)
  return Number(numAffectedRows ?? 0n)
}

function keys(tx: TenantTx) {
  return tx.selectFrom('sallyport.audit_subject_key').select(COLUMNS).where('org_id', '=', tx.org)
}
