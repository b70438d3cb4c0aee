/** Owns the beginning of a connect session and the reading of one. Refuses return addresses, connections and integrations of elsewhere. */
import type { schemas } from '@sallyport/contract'
import { formatId, newId, randomToken, Secret, sha256 } from '@sallyport/core'
import type { ConnectionId, ConnectSessionId, Environment, OrgId, ProjectId } from '@sallyport/core'
import type { z } from 'zod'
import { appendAudit } from '../audit/index.ts'
import {
  connectionFind,
  connectSessionCountUnfinished,
  connectSessionFind,
  connectSessionInsert,
  integrationFind,
  integrationFindBySlug,
  projectFind,
} from '../db/index.ts'
import type { ConnectSession, Integration, TenantTx } from '../db/index.ts'
import { principalRef } from '../identity/index.ts'
import type { Principal } from '../identity/index.ts'
import { requireRoom } from '../organizations/index.ts'
import { ConnectError } from './errors.ts'
import type { ConnectContext } from './options.ts'
import { judgeReturnTo } from './return-to.ts'

/** Where a session lives: taken from the request's path, after access was decided. */
export interface ConnectPlace {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
}

export interface ConnectSessionInput {
  readonly integration: string
  readonly endUserId: string
  readonly returnTo?: string | undefined
  /** Reconnect this one: it keeps its id. */
  readonly connection?: ConnectionId | undefined
}

/** As the contract shows it. */
export type ConnectSessionView = z.infer<typeof schemas.connectSession>

/** @throws ConnectError `not_found`, `return_to_refused`, `integration_not_configured`, `overloaded`. OrganizationError `resource_limit`. */
export async function createSession(
  context: ConnectContext,
  principal: Principal,
  place: ConnectPlace,
  input: ConnectSessionInput,
): Promise<{ readonly session: ConnectSessionView; readonly link: string }> {
  requireReach(principal, input.connection ?? null)
  const token = new Secret(randomToken(32))
  const session = await context.database.withTenant(place.org, async (tx) => {
    const integration = await requireIntegration(context, tx, place, input)
    await requireFewUnfinished(context, tx, place)
    // Asked before anybody consents: a grant that finds no room any more would be left at the provider.
    if (input.connection === undefined) await requireRoom(tx, context.room, 'connections')
    const made = await insertSession(context, tx, principal, place, input, integration, token)
    await appendAudit(tx, {
      action: 'connect_session.created',
      actor: principalRef(principal),
      target: formatId('cs', made.id),
      detail: { integration: formatId('int', integration.id), reconnect: made.reconnect },
    })
    return sessionView(made, integration.slug)
  })
  return { session, link: `${context.publicUrl}/connect/${token.reveal()}` }
}

/** @throws ConnectError `not_found` */
export async function getSession(
  context: ConnectContext,
  principal: Principal,
  place: ConnectPlace,
  id: ConnectSessionId,
): Promise<ConnectSessionView> {
  return context.database.withTenant(place.org, async (tx) => {
    const session = await connectSessionFind(tx, id, place)
    if (session === undefined) throw absent()
    requireReach(principal, session.connection)
    const integration = await integrationFind(tx, place, session.integration)
    if (integration === undefined) throw absent()
    return sessionView(session, integration.slug)
  })
}

/** A key bound to one connection may reconnect that one, and see and complete its sessions; nothing else. */
export function requireReach(principal: Principal, connection: ConnectionId | null): void {
  if (principal.kind === 'key' && principal.connection !== null && principal.connection !== connection) throw absent()
}

export function absent(): ConnectError {
  return new ConnectError('not_found', 'no such integration, connection or connect session in this place')
}

async function requireIntegration(
  context: ConnectContext,
  tx: TenantTx,
  place: ConnectPlace,
  input: ConnectSessionInput,
): Promise<Integration> {
  const project = await projectFind(tx, place.project)
  const integration = await integrationFindBySlug(tx, place, input.integration)
  if (project === undefined || integration === undefined) throw absent()
  if (input.returnTo !== undefined) judgeReturnTo(input.returnTo, project.returnOrigins)
  if (context.providers(integration.provider) === undefined) {
    throw new ConnectError('integration_not_configured', `the catalog has no provider ${integration.provider}`)
  }
  if (input.connection !== undefined) {
    const connection = await connectionFind(tx, place, input.connection)
    // A reconnect is for the same user of the same integration; a pending one has its own session to come from.
    const fits = connection?.integration === integration.id && connection.endUserId === input.endUserId && connection.status !== 'pending'
    if (!fits) throw absent()
  }
  return integration
}

async function requireFewUnfinished({ limits }: ConnectContext, tx: TenantTx, place: ConnectPlace): Promise<void> {
  const unfinished = await connectSessionCountUnfinished(tx, place, limits.unfinishedPerEnvironment)
  if (unfinished >= limits.unfinishedPerEnvironment)
    throw new ConnectError('overloaded', 'the environment has too many unfinished connect sessions')
}

function insertSession(
  { limits }: ConnectContext,
  tx: TenantTx,
  principal: Principal,
  place: ConnectPlace,
  input: ConnectSessionInput,
  integration: Integration,
  token: Secret,
): Promise<ConnectSession> {
  return connectSessionInsert(tx, {
    id: newId('cs'),
    project: place.project,
    environment: place.environment,
    integration: integration.id,
    connection: input.connection ?? null,
    reconnect: input.connection !== undefined,
    endUserId: input.endUserId,
    linkHash: sha256(token),
    returnTo: input.returnTo ?? null,
    startedBy: principalRef(principal),
    consoleSessionHash: principal.kind === 'person' && principal.via === 'session' ? principal.sessionHash : null,
    ttlSeconds: limits.linkTtlS,
  })
}

function sessionView(session: ConnectSession, integration: string): ConnectSessionView {
  return {
    id: formatId('cs', session.id),
    integration,
    end_user_id: session.endUserId,
    status: session.status,
    failure: session.failure,
    connection: session.connection === null ? null : formatId('conn', session.connection),
    created_at: session.createdAt.toISOString(),
    expires_at: session.expiresAt.toISOString(),
  }
}
