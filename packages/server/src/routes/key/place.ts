/**
 * Owns where the operations of keys work: in an environment of a project, or in the organization. Both do the same in their place. Refuses to a key of
 * the organization those of the other environment, as if they were not there.
 */
import type { Environment, KeyId, OrgId, ProjectId } from '@sallyport/core'
import type { KeyPlace, TenantTx } from '../../db/index.ts'
import type { KeyPrincipal, Principal } from '../../identity/index.ts'
import type { RouteDeps } from '../operation.ts'
import { inEnvironment, inOrganization } from '../tenant.ts'

/** What operations of keys have in common. */
export interface KeyCall<Body = unknown> {
  readonly principal: Principal
  readonly deps: RouteDeps
  readonly ids: { readonly org: OrgId }
  readonly body: Body
  /** Runs `fn` in one transaction, in the place of the call. @throws ProblemError as `inProject` */
  readonly inPlace: <T>(fn: (tx: TenantTx, at: KeyPlace) => Promise<T>) => Promise<T>
}

/** Of one key. */
export interface OneKeyCall<Body = unknown> extends KeyCall<Body> {
  readonly ids: { readonly org: OrgId; readonly key: KeyId }
}

type InEnvironment = Parameters<typeof inEnvironment>[0] & {
  readonly ids: { readonly project: ProjectId; readonly environment: Environment }
}

export function inKeysOfEnvironment<Asked extends InEnvironment>(call: Asked): Asked & Pick<KeyCall, 'inPlace'> {
  return { ...call, inPlace: (fn) => inEnvironment(call, fn) }
}

type InOrganization = Parameters<typeof inOrganization>[0] & { readonly principal: Principal }

export function inKeysOfOrganization<Asked extends InOrganization>(call: Asked): Asked & Pick<KeyCall, 'inPlace'> {
  const environment = call.principal.kind === 'key' ? call.principal.environment : null
  return { ...call, inPlace: (fn) => inOrganization(call, (tx) => fn(tx, { project: null, environment })) }
}

/** Where a caller's own key lies. */
export function keyPlaceOf({ project, environment }: KeyPrincipal): KeyPlace {
  return project === null ? { project, environment } : { project, environment }
}
