/**
 * Owns the one decision whether an authenticated caller may use a route in a tenant. Pure: no clock, no store, no logging. Refuses to
 * guess a tenant: what the path doesn't name is never taken from the caller.
 */
import { ROLE_CONTAINS } from '@sallyport/contract'
import type { Role, RouteAccess, Scope } from '@sallyport/contract'
import type { Environment, OrgId, ProjectId } from '@sallyport/core'
import { admission } from '../identity/index.ts'
import type { KeyPrincipal, PersonPrincipal, Principal } from '../identity/index.ts'

/** The tenant a request's path names, as far as it names one. */
export interface AccessPlace {
  readonly org?: OrgId
  readonly project?: ProjectId
  readonly environment?: Environment
}

/**
 * - `not_found`: another organization or project, or none named. Looks exactly like absence.
 * - `environment_mismatch`: the key's own project, but the environment that isn't the key's.
 * - `forbidden`: the route isn't for this kind of caller, the person's role is too small, or the key is a test key or bound to one
 *   connection and the route changes what environments share; or it is bound to one and the route changes what others stand on; or it is a
 *   project's and the route the organization's.
 * - `insufficient_scope`: the key lacks the scope.
 * - `sso_required`: the person is a member, and this session was signed in another way than the organization takes.
 * - `step_up_required`: the route can't be undone, and this session has no second factor, or one from too long ago.
 */
export type DenialCode = 'not_found' | 'forbidden' | 'insufficient_scope' | 'environment_mismatch' | 'sso_required' | 'step_up_required'

export type AccessDecision = { readonly allowed: true } | { readonly allowed: false; readonly code: DenialCode }

const ALLOWED: AccessDecision = Object.freeze({ allowed: true })

/** How recent a second factor must be for what can't be undone. */
export interface StepUp {
  /** Milliseconds since 1970. */
  readonly now: number
  readonly maxAgeS: number
}

/**
 * Whether `principal` may use a route declared as `access` at the place its path names. The tenant is judged before role and scope, so
 * that nobody learns what a route would have wanted in a tenant that isn't theirs. Existence of the project inside the person's
 * organization stays with the query: row security answers it.
 */
export function decide(principal: Principal, access: RouteAccess, at: AccessPlace, stepUp: StepUp): AccessDecision {
  if (access.audience !== 'tenant') return ALLOWED
  if (!namesTenant(access, at)) return denied('not_found')
  return principal.kind === 'key' ? decideKey(principal, access, at) : decidePerson(principal, access, at, stepUp)
}

/** Whether `held` contains `needed` (each role contains itself). */
export function roleContains(held: Role, needed: Role): boolean {
  return ROLE_CONTAINS[held].includes(needed)
}

function namesTenant(access: RouteAccess, at: AccessPlace): boolean {
  if (access.tenant === 'none' || at.org === undefined) return false
  if (access.tenant === 'org') return true
  return at.project !== undefined && (access.tenant === 'project' || at.environment !== undefined)
}

function decideKey(key: KeyPrincipal, access: RouteAccess, at: AccessPlace): AccessDecision {
  if (at.org !== key.org) return denied('not_found')
  if (at.project !== undefined && key.project !== null && at.project !== key.project) return denied('not_found')
  if (at.environment !== undefined && at.environment !== key.environment) return denied('environment_mismatch')
  // A project's key has no say above its project, whatever it holds: no scope can make it one of the organization.
  if (access.scope === undefined || (access.tenant === 'org' && key.project !== null)) return denied('forbidden')
  if (!key.scopes.has(access.scope)) return denied('insufficient_scope')
  if (changesWhatIsShared(access) && !speaksForAll(key)) return denied('forbidden')
  return changesOtherConnections(access) && key.connection !== null ? denied('forbidden') : ALLOWED
}

/** What lies above the environments works in all of them: the origins that live sessions return to, for one. */
function changesWhatIsShared({ tenant, audit }: RouteAccess): boolean {
  return tenant !== 'environment' && audit !== 'none'
}

/** Scopes for what all connections of an environment stand on: the client, word of its end, the key of a model provider, where a model's name leads. */
const BENEATH_CONNECTIONS: ReadonlySet<Scope> = new Set(['integrations:write', 'provider_keys:write', 'model_routes:write'])

/** With another client secret, or an event source whose secret it was shown, a key would end connections that are none of its own. */
function changesOtherConnections({ scope, audit }: RouteAccess): boolean {
  return audit !== 'none' && scope !== undefined && BENEATH_CONNECTIONS.has(scope)
}

/** A test key has no say in live, and a key bound to one connection has none beyond it. */
function speaksForAll({ environment, connection }: KeyPrincipal): boolean {
  return environment === 'live' && connection === null
}

function decidePerson(person: PersonPrincipal, access: RouteAccess, at: AccessPlace, stepUp: StepUp): AccessDecision {
  const held = at.org === undefined ? undefined : roleIn(person, access, at.org)
  if (held === undefined || at.org === undefined) return denied('not_found')
  // Before the role: whoever is not let in learns nothing of what the route would have wanted.
  if (!isAdmitted(person, at.org, held)) return denied('sso_required')
  if (access.role === undefined || !roleContains(held, access.role)) return denied('forbidden')
  return access.stepUp === true && !hasSteppedUp(person, stepUp) ? denied('step_up_required') : ALLOWED
}

/** An organization on its way out is there for the routes that are about just that, and for no other. */
function roleIn(person: PersonPrincipal, access: RouteAccess, org: OrgId): Role | undefined {
  return person.memberships.get(org) ?? (access.whileClosing === true ? person.closing?.get(org) : undefined)
}

/** Whether the organization takes the way in which this session was signed in. Only for organizations that the person belongs to. */
export function isAdmitted(person: PersonPrincipal, org: OrgId, held: Role): boolean {
  return admission(person.signInPolicies.get(org), person.signIn, held === 'OWNER') !== 'refused'
}

/** Whether the person signed in with a second factor, a moment ago. Keys never did, and are given what can't be undone by their scopes alone. */
export function hasSteppedUp({ signIn }: PersonPrincipal, { now, maxAgeS }: StepUp): boolean {
  return signIn.assurance === 'aal2' && now - signIn.authenticatedAt.getTime() < maxAgeS * 1000
}

function denied(code: DenialCode): AccessDecision {
  return { allowed: false, code }
}
