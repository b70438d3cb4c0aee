/** Authorization: may this caller use this route, in this tenant. */
export { decide, roleContains } from './decide.ts'
export type { AccessDecision, AccessPlace, DenialCode } from './decide.ts'
