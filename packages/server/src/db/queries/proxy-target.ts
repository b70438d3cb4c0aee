/** Owns the one read of a proxied call: integration, connection and sealed head in one round trip. Refuses to open anything. */
import type { Pool } from 'pg'
import type { ConnectionId, Environment, IntegrationId, OrgId, ProjectId, RefreshTrouble } from '@sallyport/core'
import { translated } from '../errors.ts'
import type { ConnectionStatus } from '../schema.ts'
import { readCallPolicy } from './call-policy.ts'
import type { CallPolicy } from './call-policy.ts'

export interface ProxyTargetAsk {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
  readonly slug: string
  /** With both a connection and a user, the connection must be that user's; with neither, only the integration is answered. */
  readonly connection?: ConnectionId | undefined
  readonly endUserId?: string | undefined
}

export interface ProxyTargetConnection {
  readonly id: ConnectionId
  readonly status: ConnectionStatus
  /** Why it was last not refreshed; null since it last was. */
  readonly trouble: RefreshTrouble | null
  /** When it is tried again; null as `trouble`. */
  readonly retryAt: Date | null
  readonly generation: number
  /** The head; null before the first credential. */
  readonly credential: { readonly seq: bigint; readonly sealed: Buffer; readonly obtainedAt: Date; readonly expiresAt: Date | null } | null
}

export interface ProxyTarget {
  /** The database's clock at the reading; undefined as `integration`. */
  readonly now: Date | undefined
  /** Undefined: no such integration in this place; then there are no connections either. */
  readonly integration: { readonly id: IntegrationId; readonly provider: string; readonly policy: CallPolicy } | undefined
  /**
   * None: nothing fits. One: it. Two: the user has more than one, and must name which. One active connection stands for its user also
   * beside others that are not.
   */
  readonly connections: readonly ProxyTargetConnection[]
}

interface Row {
  integration_id: IntegrationId
  provider: string
  call_policy: unknown
  now: Date
  connection_id: ConnectionId | null
  status: ConnectionStatus
  trouble: RefreshTrouble | null
  retry_at: Date | null
  generation: number
  seq: string | null
  sealed: Buffer | null
  obtained_at: Date | null
  expires_at: Date | null
}

/** Primary keys and unique (org, project, environment, slug); by user connection_by_user. See 0039_call_policies.sql. */
export async function readProxyTarget(pool: Pool, ask: ProxyTargetAsk): Promise<ProxyTarget> {
  const values = [ask.org, ask.project, ask.environment, ask.slug, ask.connection ?? null, ask.endUserId ?? null]
  const { rows } = await translated(() => pool.query<Row>('select * from sallyport.proxy_target($1, $2, $3, $4, $5, $6)', values))
  const [first] = rows
  return {
    now: first?.now,
    integration: first && { id: first.integration_id, provider: first.provider, policy: readCallPolicy(first.call_policy) },
    connections: alike(rows.flatMap(targetConnection)),
  }
}

/** Active ones come first: when the first is active and the second isn't, there is no doubt which is meant. */
function alike(connections: readonly ProxyTargetConnection[]): readonly ProxyTargetConnection[] {
  const [first] = connections
  return connections.filter(({ status }) => (status === 'active') === (first?.status === 'active'))
}

function targetConnection(row: Row): ProxyTargetConnection[] {
  if (row.connection_id === null) return []
  const { seq, sealed, obtained_at: obtainedAt } = row
  const credential =
    seq === null || sealed === null || obtainedAt === null ? null : { seq: BigInt(seq), sealed, obtainedAt, expiresAt: row.expires_at }
  const { connection_id: id, status, trouble, retry_at: retryAt, generation } = row
  return [{ id, status, trouble, retryAt, generation, credential }]
}
