/** Authorization: may this caller use this route, in this tenant. */
export { decide, hasSteppedUp, isAdmitted, roleContains } from './decide.ts'
export type { AccessDecision, AccessPlace, DenialCode, StepUp } from './decide.ts'
export { accessReference } from './reference.ts'
