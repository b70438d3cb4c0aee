/** Owns the rows of creations that may be asked for again. Refuses to write to one that another attempt has taken over. */
import { sql } from 'kysely'
import type { TenantTx } from '../tenant.ts'

export interface IdempotentCreation {
  readonly attempt: string
  readonly requestHash: Buffer
  readonly state: 'running' | 'made' | 'answered'
  /** What was made, by its outside id. */
  readonly target: string | null
  /** Sealed. */
  readonly answer: Buffer | null
  /** Seconds since it began, by the database's clock. */
  readonly ageS: number
}

/** Whose turn it is. `takenOverAfterS`: a creation that made nothing for so long is nobody's any more. */
export interface Attempt {
  readonly keyHash: Buffer
  readonly requestHash: Buffer
  readonly attempt: string
}

/**
 * Begins a creation under a key that nothing stands under, or only what is over: more than a day old, or begun `takenOverAfterS` ago and never made.
 * False when something stands there.
 */
export async function creationBegin(tx: TenantTx, { keyHash, requestHash, attempt }: Attempt, takenOverAfterS: number): Promise<boolean> {
  const fresh = { request_hash: requestHash, attempt, state: 'running' as const, target: null, answer: null }
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('sallyport.idempotent_creation')
    .values({ org_id: tx.org, key_hash: keyHash, ...fresh })
    .onConflict((conflict) =>
      conflict
        .columns(['org_id', 'key_hash'])
        .doUpdateSet({ ...fresh, begun_at: sql<Date>`clock_timestamp()` })
        .where(
          sql<boolean>`idempotent_creation.begun_at < clock_timestamp() - interval '24 hours' or (idempotent_creation.state = 'running'
            and idempotent_creation.request_hash = ${requestHash}
            and idempotent_creation.begun_at < clock_timestamp() - make_interval(secs => ${takenOverAfterS}))`,
        ),
    )
    .executeTakeFirst()
  return numInsertedOrUpdatedRows === 1n
}

export async function creationFind(tx: TenantTx, keyHash: Buffer): Promise<IdempotentCreation | undefined> {
  const row = await tx
    .selectFrom('sallyport.idempotent_creation')
    .select(['attempt', 'request_hash', 'state', 'target', 'answer'])
    .select(sql<number>`extract(epoch from clock_timestamp() - begun_at)::float8`.as('age_s'))
    .where('org_id', '=', tx.org)
    .where('key_hash', '=', keyHash)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { attempt, state, target, answer } = row
  return { attempt, requestHash: row.request_hash, state, target, answer, ageS: row.age_s }
}

/** In the transaction that makes it. False when the attempt was taken over: then nothing may be made. */
export async function creationMade(tx: TenantTx, keyHash: Buffer, attempt: string, target: string): Promise<boolean> {
  const { numUpdatedRows } = await own(tx, keyHash, attempt)
    .set({ state: 'made', target })
    .where('state', '=', 'running')
    .executeTakeFirst()
  return numUpdatedRows === 1n
}

/** Keeps the answer of what was made. */
export async function creationAnswered(tx: TenantTx, keyHash: Buffer, attempt: string, answer: Buffer): Promise<void> {
  await own(tx, keyHash, attempt).set({ state: 'answered', answer }).where('state', '=', 'made').execute()
}

/** Nothing was made: the key is free again. */
export async function creationDrop(tx: TenantTx, keyHash: Buffer, attempt: string): Promise<void> {
  await tx
    .deleteFrom('sallyport.idempotent_creation')
    .where('org_id', '=', tx.org)
    .where('key_hash', '=', keyHash)
    .where('attempt', '=', attempt)
    .where('state', '=', 'running')
    .execute()
}

function own(tx: TenantTx, keyHash: Buffer, attempt: string) {
  return tx
    .updateTable('sallyport.idempotent_creation')
    .where('org_id', '=', tx.org)
    .where('key_hash', '=', keyHash)
    .where('attempt', '=', attempt)
}
