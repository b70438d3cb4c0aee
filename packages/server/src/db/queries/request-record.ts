/** Owns the record of calls that went out. Refuses queries, headers and bodies: there is no column for them. */
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import type { ConnectionId, Environment, KeyId, OrgId, ProjectId, RequestId } from '@sallyport/core'
import type { Schema } from '../schema.ts'
import type { TenantTx } from '../tenant.ts'
import type { Page, Place } from './page.ts'
import { auditAppending, auditHeadOf } from './audit-event.ts'
import type { AuditHead, AuditHeadRow, NewAuditEvent } from './audit-event.ts'

export interface RequestRecordRow {
  readonly org: OrgId
  readonly id: RequestId
  readonly at: Date
  readonly project: ProjectId
  readonly environment: Environment
  readonly integrationSlug: string | null
  readonly connection: ConnectionId | null
  /** Of a call to a provider of models: its id. Then there is no integration. */
  readonly modelProvider?: string | undefined
  readonly key: KeyId
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly status: number
  readonly source: 'gateway' | 'provider'
  /** The problem code, when the gateway answered. */
  readonly error: string | null
  /** Whole microseconds. */
  readonly durationUs: number
  readonly bytesIn: number
  readonly bytesOut: number
}

/**
 * Stores many in one statement with one parameter, so that groups of every size share a plan. Rows that are there already are left as
 * they are: a group whose commit went unanswered may be sent again.
 */
export async function requestRecordInsertMany(tx: TenantTx, records: readonly RequestRecordRow[]): Promise<void> {
  await insertion(tx, records).execute(tx)
}

/**
 * `requestRecordInsertMany` and `auditAppend` as one statement, and so one round trip. Both or neither; the log is held as by `auditAppend`,
 * so call it last. Throws as that does.
 */
export async function useAppend(tx: TenantTx, events: readonly NewAuditEvent[], records: readonly RequestRecordRow[]): Promise<AuditHead> {
  const { rows } = await sql<AuditHeadRow>`with written as (${insertion(tx, records)}) ${auditAppending(events)}`.execute(tx)
  return auditHeadOf(rows)
}

function insertion(tx: TenantTx, records: readonly RequestRecordRow[]) {
  const rows = records.map((record) => {
    if (record.org !== tx.org) throw new TypeError('a request record of another organization')
    return {
      org_id: record.org,
      id: record.id,
      at: record.at,
      project_id: record.project,
      environment: record.environment,
      integration_slug: record.integrationSlug,
      connection_id: record.connection,
      key_id: record.key,
      method: record.method,
      path: record.path,
      status: record.status,
      source: record.source,
      error: record.error,
      duration_us: record.durationUs,
      bytes_in: record.bytesIn,
      bytes_out: record.bytesOut,
      model_provider: record.modelProvider ?? null,
    }
  })
  return sql`
    insert into sallyport.request_record
    select * from jsonb_populate_recordset(null::sallyport.request_record, ${JSON.stringify(rows)}::jsonb)
    on conflict (org_id, id) do nothing`
}

/** Newest first, by id, which begins with its time; index request_record_list. */
export async function requestRecordList(tx: TenantTx, at: Place, page: Page<RequestId>): Promise<RequestRecordRow[]> {
  const rows = await tx
    .selectFrom('sallyport.request_record')
    .selectAll()
    .where('org_id', '=', tx.org)
    .where('project_id', '=', at.project)
    .where('environment', '=', at.environment)
    .$if(page.after !== undefined, (query) => query.where('id', '<', page.after!))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute()
  return rows.map(requestRecord)
}

function requestRecord(row: Selectable<Schema['sallyport.request_record']>): RequestRecordRow {
  return {
    org: row.org_id,
    id: row.id,
    at: row.at,
    project: row.project_id,
    environment: row.environment,
    integrationSlug: row.integration_slug,
    connection: row.connection_id,
    modelProvider: row.model_provider ?? undefined,
    key: row.key_id,
    method: row.method,
    path: row.path,
    status: row.status,
    source: row.source,
    error: row.error,
    durationUs: Number(row.duration_us),
    bytesIn: Number(row.bytes_in),
    bytesOut: Number(row.bytes_out),
  }
}
