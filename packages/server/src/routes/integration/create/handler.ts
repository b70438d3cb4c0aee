import { formatId, hasCode, newId, randomBase62, Secret } from '@sallyport/core'
import type { Provider } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { integrationInsert, PLAIN_CALLS } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { requireRoom } from '../../../organizations/index.ts'
import { clientSecretPlace } from '../../../vault/index.ts'
import { implement } from '../../operation.ts'
import { inEnvironment } from '../../tenant.ts'
import { policyWith } from '../policy.ts'
import { presentIntegration } from '../present.ts'

/** The last segment of the redirect URI: 190 random bits, so that one integration's callback can't be guessed from another's. */
const CONTEXT_DIGITS = 32

export const integrationCreate = implement('integrationCreate', async (call) => {
  const { body, deps, principal } = call
  const provider = knownProvider(deps.providers, body.provider)
  const id = newId('int')
  const clientSecret = new Secret(body.client_secret)
  const scopes = body.scopes ?? provider.defaultScopes
  const made = await inEnvironment(call, async (tx, at) => {
    await requireRoom(tx, deps.room, 'integrations')
    const sealed = await deps.vault.seal(tx, clientSecretPlace(id), clientSecret)
    const integration = await refusingTakenSlug(
      integrationInsert(tx, {
        ...at,
        id,
        slug: body.slug,
        provider: provider.id,
        context: randomBase62(CONTEXT_DIGITS),
        clientId: body.client_id,
        clientSecret: sealed,
        scopes: [...new Set(scopes)],
        callPolicy: policyWith(PLAIN_CALLS, body.call_policy),
      }),
    )
    const policy = body.call_policy === undefined ? {} : { call_policy: { ...integration.callPolicy } }
    const detail = { slug: body.slug, provider: provider.id, client_id: body.client_id, scopes: [...integration.scopes], ...policy }
    await appendAudit(tx, { action: 'integration.created', actor: principalRef(principal), target: formatId('int', id), detail })
    return integration
  })
  return presentIntegration(made, deps.publicUrl)
})

function knownProvider(providers: readonly Provider[], id: string): Provider {
  const provider = providers.find((one) => one.id === id)
  if (provider !== undefined) return provider
  const faults = [{ pointer: '/body/provider', reason: 'is not a provider of the catalog' }]
  throw new ProblemError('validation_failed', 'There is no such provider; GET /api/v1/providers lists them.', { faults })
}

async function refusingTakenSlug<T>(insert: Promise<T>): Promise<T> {
  try {
    return await insert
  } catch (error) {
    if (!hasCode(error, 'conflict')) throw error
    throw new ProblemError('conflict', 'An integration of this environment has that slug already.', { cause: error })
  }
}
