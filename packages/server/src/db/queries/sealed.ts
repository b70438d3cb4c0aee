/**
 * Owns reading and replacing envelopes wherever they stand, by the description of their column. Refuses to know what is sealed or why, and to
 * replace an envelope that is no longer the one that was read.
 */
import { sql } from 'kysely'
import type { RawBuilder } from 'kysely'
import type { DataKeyId } from '@sallyport/core'
import type { TenantTx } from '../tenant.ts'

const TYPES = { uuid: sql`uuid`, bigint: sql`bigint`, bytea: sql`bytea` }

/** A sealed column of a tenant's table. Names are ours, never a caller's. */
export interface SealedTable {
  /** Without the schema. */
  readonly table: string
  /** Beside it stands `<column>_under`, by which the database knows the data key of each envelope. */
  readonly column: string
  /** What tells rows of one organization apart, in the order of the index that the sweep reads. */
  readonly key: readonly { readonly name: string; readonly type: keyof typeof TYPES }[]
  /** Further columns that the place of a row is made of. */
  readonly also: readonly string[]
}

export interface SealedRow {
  /** The texts of the `key` and `also` columns. */
  readonly names: Readonly<Record<string, string>>
  readonly envelope: Buffer
}

export interface SealedPage {
  readonly under: DataKeyId
  /** The last row of the page before. */
  readonly after?: SealedRow | undefined
  readonly limit: number
}

/** Rows under one data key, in order. */
export async function sealedList(tx: TenantTx, at: SealedTable, page: SealedPage): Promise<SealedRow[]> {
  return rowsOf(tx, at, page, sql``)
}

/** The same, held until the transaction ends. Rows that another holds are waited for, or left out: then it is at work on them. */
export async function sealedTake(tx: TenantTx, at: SealedTable, page: SealedPage, held: 'wait' | 'skip'): Promise<SealedRow[]> {
  return rowsOf(tx, at, page, held === 'wait' ? sql`for no key update` : sql`for no key update skip locked`)
}

async function rowsOf(tx: TenantTx, at: SealedTable, { under, after, limit }: SealedPage, hold: RawBuilder<unknown>): Promise<SealedRow[]> {
  const names = [...at.key.map(({ name }) => name), ...at.also]
  // Of the table, not of the texts that are selected under the same names: those have another order.
  const keys = sql.join(at.key.map(({ name }) => sql.ref(`t.${name}`)))
  const beyond = after === undefined ? sql`` : sql`and (${keys}) > (${sql.join(at.key.map((part) => typed(after, part)))})`
  const { rows } = await sql<Record<string, string> & { envelope: Buffer }>`
    select ${sql.join(names.map((name) => sql`${sql.ref(`t.${name}`)}::text as ${sql.ref(name)}`))}, ${sql.ref(at.column)} as envelope
    from ${tableOf(at)} t
    where org_id = ${tx.org} and ${underOf(at)} = ${under} ${beyond}
    order by ${keys} limit ${limit} ${hold}`.execute(tx)
  return rows.map(({ envelope, ...names }) => ({ names: names as Readonly<Record<string, string>>, envelope }))
}

/** Puts new envelopes where the old ones still stand, byte for byte. Answers how many rows that were. */
export async function sealedReplace(
  tx: TenantTx,
  at: SealedTable,
  changes: readonly { readonly row: SealedRow; readonly envelope: Buffer }[],
): Promise<number> {
  if (changes.length === 0) return 0
  const columns = at.key.map(({ name }) => sql`${changes.map(({ row }) => row.names[name])}::text[]`)
  const was = sql`${changes.map(({ row }) => row.envelope)}::bytea[]`
  const becomes = sql`${changes.map(({ envelope }) => envelope)}::bytea[]`
  const { numAffectedRows } = await sql`
    update ${tableOf(at)} t set ${sql.ref(at.column)} = v.becomes
    from unnest(${sql.join([...columns, was, becomes])}) as v(${sql.join([...at.key.map(({ name }) => sql.ref(name)), sql`was`, sql`becomes`])})
    where t.org_id = ${tx.org} and ${sql.ref(`t.${at.column}`)} = v.was
      and ${sql.join(
        at.key.map(({ name, type }) => sql`${sql.ref(`t.${name}`)} = ${sql.ref(`v.${name}`)}::${TYPES[type]}`),
        sql` and `,
      )}`.execute(tx)
  return Number(numAffectedRows ?? 0n)
}

/** Rows per data key; undefined: what is no envelope of a data key. */
export async function sealedCount(tx: TenantTx, at: SealedTable): Promise<ReadonlyMap<DataKeyId | undefined, number>> {
  const { rows } = await sql<{ under: DataKeyId | null; rows: string }>`
    select ${underOf(at)} as under, count(*) as rows from ${tableOf(at)} where org_id = ${tx.org} group by 1`.execute(tx)
  return new Map(rows.map((row) => [row.under ?? undefined, Number(row.rows)]))
}

function tableOf({ table }: SealedTable): RawBuilder<unknown> {
  return sql.table(`sallyport.${table}`)
}

function underOf({ column }: SealedTable): RawBuilder<unknown> {
  return sql.ref(`${column}_under`)
}

function typed(row: SealedRow, { name, type }: SealedTable['key'][number]): RawBuilder<unknown> {
  return sql`${row.names[name]}::${TYPES[type]}`
}
