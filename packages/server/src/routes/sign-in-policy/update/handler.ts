import { formatId } from '@sallyport/core'
import { appendAudit } from '../../../audit/index.ts'
import { signInPolicyPut, signInPolicyRemove } from '../../../db/index.ts'
import { ProblemError } from '../../../http/index.ts'
import { isOneOf, principalRef } from '../../../identity/index.ts'
import type { People, Principal, SignInWay } from '../../../identity/index.ts'
import { holdAs, personOf, requireRole } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentSignInPolicy } from '../present.ts'

/**
 * Seen by every session of the organization within five seconds. Refused when its maker would be the first whom it locks out, break glass or not: a
 * way that nobody has come by yet may not work at all.
 */
export const signInPolicyUpdate = implement('signInPolicyUpdate', (call) => {
  const { ways, break_glass: breakGlass } = call.body
  if (ways !== null) {
    requireUsable(ways, call.deps.people)
    requireOwnWay(ways, call.principal)
  }
  return inOrganization(call, async (tx) => {
    // Read again, and held: an owner who was demoted a moment ago locks nobody out.
    requireRole((await holdAs(tx, personOf(call.principal).userId)).role, 'OWNER')
    const row = ways === null ? undefined : await signInPolicyPut(tx, { ways, breakGlass })
    if (ways === null) await signInPolicyRemove(tx)
    const detail = {
      ways: ways === null ? null : ways.map(({ issuer, provider }) => ({ issuer, provider })),
      break_glass: ways !== null && breakGlass,
    }
    const target = formatId('org', call.ids.org)
    await appendAudit(tx, { action: 'sign_in_policy.updated', actor: principalRef(call.principal), target, detail })
    return presentSignInPolicy(row)
  })
})

/** A way that no session can have been signed in by would lock everybody out. */
function requireUsable(ways: readonly SignInWay[], people: Pick<People, 'issuerKind'>): void {
  const faults = ways.flatMap(({ issuer, provider }, index) => {
    const kind = people.issuerKind(issuer)
    if (kind === undefined) return [{ pointer: `/body/ways/${index}/issuer`, reason: 'is no configured issuer' }]
    // With Supabase every way in comes by the same issuer: without a provider, a password would do.
    if ((kind === 'supabase') === (provider !== null)) return []
    return [{ pointer: `/body/ways/${index}/provider`, reason: kind === 'supabase' ? 'is required for this issuer' : 'must be null' }]
  })
  if (faults.length > 0) throw new ProblemError('validation_failed', 'Nobody could sign in that way.', { faults })
}

function requireOwnWay(ways: readonly SignInWay[], principal: Principal): void {
  if (principal.kind === 'person' && isOneOf(ways, principal.signIn)) return
  throw new ProblemError(
    'conflict',
    'This session was signed in by none of these ways, so the change would lock its maker out. Sign in by one of them first.',
  )
}
