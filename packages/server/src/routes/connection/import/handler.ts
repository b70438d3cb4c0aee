import { formatId, missingScopes, newId, Secret } from '@sallyport/core'
import type { ConnectionId, Provider, TokenSet } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import type { OnHeld } from '../../../credentials/index.ts'
import { connectionActivate, connectionFind, connectionFindOfAccount, connectionInsert, integrationHoldBySlug } from '../../../db/index.ts'
import type { Connection, Integration, Place, TenantTx } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { requireRoom } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import type { Call } from '../../operation.ts'
import { found, inEnvironment } from '../../tenant.ts'
import { boundConnection } from '../bound.ts'
import { presentConnection } from '../present.ts'

type Body = Call<'connectionImport'>['body']

export const connectionImport = implement('connectionImport', (call) => {
  const { body, deps, principal } = call
  if (boundConnection(principal) !== null) throw new ProblemError('forbidden', 'This key is bound to one connection and makes no others.')
  const id = newId('conn')
  return inEnvironment(call, async (tx, at) => {
    // Held, so that of two imports of one account the second finds the first.
    const integration = found(await integrationHoldBySlug(tx, at, body.integration))
    await requireNew(tx, integration, body)
    await requireRoom(tx, deps.room, 'connections')
    const tokens = tokensOf(body, integration)
    await connectionInsert(tx, { ...at, id, integration: integration.id, endUserId: body.end_user_id })
    const onHeld = refuseHeld(tx, at, integration, body.end_user_id, deps.providers)
    const made = found(await deps.lineage.consent(tx, id, tokens, { onHeld }))
    const status = isComplete(deps.providers, integration, tokens.scopes) ? 'active' : 'insufficient_scope'
    const account = body.account === undefined ? null : { id: body.account.id, label: body.account.label ?? null }
    await connectionActivate(tx, id, { generation: made.generation, status, grantedScopes: tokens.scopes, account })
    const detail = { integration: formatId('int', integration.id), renewable: tokens.refreshToken !== null }
    await appendAudit(tx, { action: 'connection.imported', actor: principalRef(principal), target: formatId('conn', id), detail })
    return presentConnection(found(await connectionFind(tx, at, id)))
  })
})

/** An account that the application named is connected once: a second import would leave two copies of one refresh token, each ending the other. */
async function requireNew(tx: TenantTx, integration: Integration, { end_user_id: endUserId, account }: Body): Promise<void> {
  if (account === undefined) return
  const known = await connectionFindOfAccount(tx, { integration: integration.id, endUserId, account: account.id })
  if (known === undefined) return
  throw new ProblemError('conflict', `This account of the end user is connected already, as ${formatId('conn', known)}.`)
}

/**
 * One refresh token makes one connection: under rotation, two that have it end each other. A provider that never rotates may give one token to an
 * account that several end users share; those may each have it. Who holds it is named only where the caller looks already.
 */
function refuseHeld(tx: TenantTx, at: Place, integration: Integration, endUserId: string, providers: readonly Provider[]): OnHeld {
  const rotates = providers.find(({ id }) => id === integration.provider)?.rotation.kind !== 'none'
  return async (holders: readonly ConnectionId[]) => {
    const here: Connection[] = []
    for (const holder of holders) here.push(...[await connectionFind(tx, at, holder)].filter((one) => one !== undefined))
    const own = here.find((one) => one.integration === integration.id && one.endUserId === endUserId)
    if (!rotates && own === undefined) return
    throw new ProblemError('refresh_token_held', heldBy(own ?? here[0]))
  }
}

function heldBy(holder: Connection | undefined): string {
  return holder === undefined
    ? 'Another connection of this organization holds this refresh token, in another project or environment. Use that one, or disconnect it and import a token from a new consent.'
    : `The connection ${formatId('conn', holder.id)} holds this refresh token. Use it; or reconnect it, where it needs new consent; or disconnect it before the token is imported again.`
}

function tokensOf(body: Body, integration: Integration): TokenSet {
  return {
    accessToken: new Secret(body.access_token),
    refreshToken: body.refresh_token === undefined ? null : new Secret(body.refresh_token),
    tokenType: 'bearer',
    expiresAt: body.expires_at === undefined ? null : Date.parse(body.expires_at),
    scopes: [...new Set(body.scopes ?? integration.scopes)],
    extra: new Secret('{}'),
  }
}

function isComplete(providers: readonly Provider[], integration: Integration, granted: readonly string[]): boolean {
  const contents = providers.find(({ id }) => id === integration.provider)?.scopeContents ?? {}
  return missingScopes(integration.scopes, granted, contents).length === 0
}
