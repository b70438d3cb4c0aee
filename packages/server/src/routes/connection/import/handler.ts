import { formatId, missingScopes, newId, Secret } from '@sallyport/core'
import type { Provider, TokenSet } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { connectionActivate, connectionFind, connectionFindOfAccount, connectionInsert, integrationHoldBySlug } from '../../../db/index.ts'
import type { Integration, TenantTx } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
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
    const tokens = tokensOf(body, integration)
    await connectionInsert(tx, { ...at, id, integration: integration.id, endUserId: body.end_user_id })
    const made = found(await deps.lineage.consent(tx, id, tokens))
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
