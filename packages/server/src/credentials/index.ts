/** The life of credentials in the gateway: their lineage in the tenants' tables. */
export { createLineage } from './lineage.ts'
export type { Consent, Lineage, LineageOptions } from './lineage.ts'
export { createTenantStore, refOf } from './store.ts'
export type { TenantStoreOptions } from './store.ts'
export { createTransitions } from './transitions.ts'
export type { Transitions } from './transitions.ts'
export { healthOf, TROUBLE_CODES } from './health.ts'
