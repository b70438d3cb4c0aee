export { findSoftHsm, startSoftHsm } from './softhsm.ts'
export type { SoftHsm } from './softhsm.ts'
export { findInMemory } from './memory-of.ts'
